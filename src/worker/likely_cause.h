// What probably ended an engine, in a few words for a person. Pure.
#pragma once

#include "model/instance.h"

#include <string>
#include <vector>

namespace berth::worker {

// From the exit status and the last lines of the log: "the port was taken", "out of memory", …;
// empty where nothing is known.
std::string likely_cause(const model::EngineExit& exit);

// One sentence: "the engine ended with code 1 (out of memory): last line".
std::string describe_exit(const model::EngineExit& exit);

}  // namespace berth::worker
