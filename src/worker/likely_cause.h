// What probably ended an engine, in a few words for a person. Pure.
#pragma once

#include "base/bytes.h"
#include "model/instance.h"

#include <optional>
#include <span>
#include <string>
#include <vector>

namespace berth::worker {

// What is known of an engine's end beside its exit status.
struct EndFacts {
  // The last lines of its log, more than a report shows: what broke may stand above a long trace.
  std::vector<std::string> log;
  // The kernel killed processes for want of memory: of the engine, where it has a control group,
  // else any while it ran.
  bool memory_kills = false;
  std::optional<Bytes> memory_limit;  // where the engine's own limit was what it lacked
};

// From the exit status and what it wrote: "its port was taken", "its device's memory is full", …;
// empty where nothing is known. A kill by the kernel for want of memory is told from other ones.
std::string likely_cause(const model::EngineExit& exit, const EndFacts& facts = {});

// One sentence: "the engine ended with code 1 (out of memory): last line".
std::string describe_exit(const model::EngineExit& exit);

// "SIGKILL"; "signal 42" where it has no name.
std::string signal_name(int number);

}  // namespace berth::worker
