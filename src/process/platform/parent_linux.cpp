#include "process/platform/parent.h"

#include <sys/prctl.h>

#include <signal.h>
#include <unistd.h>

namespace berth::process {

void signal_at_end_of_parent(int signal, pid_t parent) {
  ::prctl(PR_SET_PDEATHSIG, signal);
  if (::getppid() != parent) ::raise(signal);  // it ended before we asked
}

}  // namespace berth::process
