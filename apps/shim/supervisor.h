// The life of one engine under its shim, from its start to the last of its descendants.
#pragma once

#include "process/shim_spec.h"

namespace berth::shim {

// Starts the engine of `spec`, copies its output to the log, keeps the state file up to date, obeys
// SIGTERM (stop signal, grace, SIGKILL) and SIGQUIT (SIGKILL now), and returns the exit status of
// the shim once nothing of the engine is left: 0, or 1 if the last state could not be written.
int supervise(const berth::process::ShimSpec& spec);

}  // namespace berth::shim
