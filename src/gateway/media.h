// What a request brings along besides text: images, audio, video.
#pragma once

#include "base/result.h"

#include <string_view>

namespace berth::gateway {

// Checks the media of a chat's `messages` (their JSON text). An engine would fetch an address by
// itself, from inside the network that it stands in, so media come as data URLs only. Fails with
// invalid_parameter and field "messages" for any other URL. Text that is no list of messages is
// left for the engine to judge.
Result<void> check_media(std::string_view messages);

}  // namespace berth::gateway
