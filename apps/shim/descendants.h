// Everything that the engine started and left to us. The shim is a child subreaper: whatever loses
// its parent below it, however it detached itself, becomes its child.
#pragma once

#include <optional>
#include <string>
#include <sys/types.h>

namespace berth::shim {

// SIGKILL to every child of this process, and to the group of each child that leads one. Their own
// children become ours in turn: call again until `reap_next` says that none is left.
void kill_children();

// SIGKILL to everything in the control group, at once: nothing in it can fork itself away. Does
// nothing without a group, or where the kernel is older than Linux 5.14.
void kill_group(const std::string& control_group);

struct Reaped {
  pid_t pid = 0;  // 0: there are children, none has ended; -1: there are no children
  std::optional<int> exit_code;
  std::optional<int> signal;
};

// Takes the status of one ended child, without waiting. If it is `leader` its process group gets
// SIGKILL first, while the pid, and so the group's number, can not have a new owner.
Reaped reap_next(pid_t leader);

}  // namespace berth::shim
