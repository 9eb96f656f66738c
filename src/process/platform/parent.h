// Ends this process when its parent does.
#pragma once

#include <sys/types.h>

namespace berth::process {

// Sends `signal` to this process when the thread that started it ends, or at once where `parent`
// is not its parent any more. For a child that has no reason to outlive its parent.
void signal_at_end_of_parent(int signal, pid_t parent);

}  // namespace berth::process
