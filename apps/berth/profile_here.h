// Reading what a model is on this machine, without a server.
#pragma once

#include "base/result.h"
#include "sources/remote_profile.h"

#include <string>

namespace berth::app {

// What the user named as others understand it too: a web address, a name on a hub, or an absolute
// path. Fails with invalid_parameter.
Result<std::string> whole_source(const std::string& text);

// Reads the headers of the model at `source`, and puts the path that a glob matches in its place.
// Fails as sources::profile_local and sources::profile_remote.
Result<sources::RemoteModel> profile_here(std::string& source);

}  // namespace berth::app
