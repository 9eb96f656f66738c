// Gang: an instance that runs as several processes, on one worker or several.
#pragma once

#include "base/describe.h"

#include <cstdint>
#include <string>
#include <vector>

namespace berth::model {

// One process of an instance that runs as several, a gang: what the others must know of it.
struct GangMember {
  std::uint32_t member = 0;        // 0: the main one, which serves
  std::string role;                // as its backend names it: "main", "rpc"
  std::vector<std::string> after;  // roles that must be ready before it starts
  std::string worker;
  std::string address;               // of the worker, without a port; empty: loopback
  std::uint32_t attempt = 0;         // for which it has its ports
  std::vector<std::uint16_t> ports;  // leased by its worker; empty: not yet
  bool ready = false;                // answers its probe
  std::string proxy;                 // of its worker, "host:port"; empty: nobody else reaches it
  bool tunnelled = false;  // the main process of another worker reaches it through both's proxies

  friend bool operator==(const GangMember&, const GangMember&) = default;
};
BOOST_DESCRIBE_STRUCT(GangMember, (),
                      (member, role, after, worker, address, attempt, ports, ready, proxy,
                       tunnelled))

// What a member is told of the whole gang. All of them run the same attempt; the end of any ends
// all.
struct Gang {
  std::uint32_t attempt = 1;
  bool halted = false;             // a member has ended: none may run until the next attempt
  std::uint32_t max_failures = 5;  // in a row, before the instance is given up
  std::vector<GangMember> members;

  friend bool operator==(const Gang&, const Gang&) = default;
};
BOOST_DESCRIBE_STRUCT(Gang, (), (attempt, halted, max_failures, members))

// The members that the main process reaches through tunnels. Its worker leases a port for each, in
// this order, behind those of its role.
inline std::vector<const GangMember*> tunnelled_members(const Gang& gang) {
  std::vector<const GangMember*> members;
  for (const auto& member : gang.members) {
    if (member.tunnelled && member.worker != gang.members.front().worker) {
      members.push_back(&member);
    }
  }
  return members;
}

}  // namespace berth::model
