// What this worker's proxy is told of its members.
#pragma once

#include "worker/member.h"
#include "worker/membership.h"
#include "worker/proxy_file.h"

#include <map>
#include <memory>
#include <string>
#include <vector>

namespace berth::worker {

using Members = std::map<std::string, std::shared_ptr<Member>>;  // by their assignments' names

// How the server and other workers reach them.
std::vector<ProxyRoute> routes_to(const Members& members, const Membership& membership);

// How their engines reach others of their gangs on other workers. As soon as a member has its
// ports: the server learns of them later, and so the engine starts later.
std::vector<ProxyTunnel> tunnels_from(const Members& members, const Membership& membership);

}  // namespace berth::worker
