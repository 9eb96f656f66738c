// Which of this machine's addresses others see.
#pragma once

#include "net/url.h"

#include <optional>
#include <string>

namespace berth::net {

// The address that packets to `peer` would come from; nullopt where no way leads there. Sends
// nothing. `peer.host` is resolved, and may block for that.
std::optional<std::string> address_towards(const Endpoint& peer);

// What the machine calls itself; "localhost" where it does not know.
std::string host_name();

}  // namespace berth::net
