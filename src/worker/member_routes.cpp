#include "worker/member_routes.h"

namespace berth::worker {
namespace {

// Whose tunnels the member's proxy takes: its gang's main worker's, where that is another one.
std::string tunnel_from(const model::Assignment& assignment, const Membership& membership) {
  if (!assignment.gang) return {};
  const auto& members = assignment.gang->members;
  const auto& own = members.at(assignment.member);
  if (!own.tunnelled || own.worker == members.front().worker) return {};
  return membership.peer_of(members.front().worker).name;
}

}  // namespace

std::vector<ProxyRoute> routes_to(const Members& members, const Membership& membership) {
  std::vector<ProxyRoute> routes;
  routes.reserve(members.size());
  for (const auto& [name, member] : members) {
    const auto& assignment = member->assignment();
    routes.push_back({.name = name,
                      .port = member->port(),
                      .engine_key = assignment.engine_key,
                      .tunnel_from = tunnel_from(assignment, membership)});
  }
  return routes;
}

std::vector<ProxyTunnel> tunnels_from(const Members& members, const Membership& membership) {
  std::vector<ProxyTunnel> tunnels;
  for (const auto& [name, member] : members) {
    const auto& assignment = member->assignment();
    if (!assignment.gang || assignment.member != 0) continue;
    const auto others = model::tunnelled_members(*assignment.gang);
    const auto& ports = member->ports();
    if (ports.size() <= others.size()) continue;  // not yet leased
    auto port = ports.end() - static_cast<std::ptrdiff_t>(others.size());
    for (const auto* to : others) {
      tunnels.push_back(
          {.port = *port++,
           .proxy = to->proxy,
           .certificate = membership.peer_of(to->worker).name,
           .name = model::assignment_name(assignment.instance, assignment.generation, to->member)});
    }
  }
  return tunnels;
}

}  // namespace berth::worker
