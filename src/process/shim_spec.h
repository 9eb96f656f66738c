// ShimSpec: what the agent tells a shim to run, and its file format. Used by the agent and by the
// shim itself, so it depends on the standard library only.
#pragma once

#include <csignal>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace berth::process {

// The variables with which the shim marks its engine, and start_shim the shim.
inline constexpr std::string_view kClusterVariable = "BERTH_CLUSTER";
inline constexpr std::string_view kInstanceVariable = "BERTH_INSTANCE";
inline constexpr std::string_view kGenerationVariable = "BERTH_GENERATION";
inline constexpr std::string_view kShimVariable = "BERTH_SHIM";  // "1" on shims only

// One engine process and what surrounds it. A value. No text may contain a NUL byte.
struct ShimSpec {
  std::string cluster;           // the tag by which the sweep knows our processes
  std::string instance;          // name of the instance
  std::uint64_t generation = 0;  // of the instance's assignment
  std::uint32_t attempt = 1;     // counts the starts of this generation

  std::vector<std::string> argv;  // argv[0] is an absolute path; nothing is looked up on PATH
  // The whole environment of the engine; the tags (and SPT_NOENV, see README) are added to it.
  std::vector<std::pair<std::string, std::string>> environment;
  std::string working_directory;  // "/" if empty
  std::string control_group;      // the folder of the group that the engine enters; empty: none

  std::string state_path;                          // replaced by rename at each change
  std::string log_path;                            // stdout and stderr of the engine, appended
  std::uint64_t log_limit = 16U << 20;             // bytes; then log_path is renamed to log_path.1
  int stop_signal = SIGTERM;                       // to the engine's process group
  std::uint64_t stop_grace_milliseconds = 10'000;  // then SIGKILL to all that is left
};

// Records "key length\nbytes\n", one a field; lists repeat their key; "end" is the last.
std::string serialise(const ShimSpec& spec);

// Reads `text` into `spec`. Returns an empty text, or one line that says what is wrong. Refuses
// unknown keys: the shim is copied per version, so both sides always agree.
std::string parse(std::string_view text, ShimSpec& spec);

}  // namespace berth::process
