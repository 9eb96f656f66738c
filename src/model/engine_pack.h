// EnginePack: an engine of one version, as its descriptor under engines/ says, and its state on a
// worker.
#pragma once

#include "base/describe.h"

#include <map>
#include <optional>
#include <string>
#include <vector>

namespace berth::model {

enum class PackKind {
  system,  // found on PATH
  path,    // configured by the user
  wheel,   // installed from a package registry into a private folder
};
BOOST_DESCRIBE_ENUM(PackKind, system, path, wheel)

// One flag that the pack's program accepts, where it accepts only some.
struct PackFlag {
  std::string flag;  // "--ctx-size"
  std::vector<std::string> aliases;
  bool takes_value = true;
  std::string type;  // of the value: "int", "float", "text", "file", "choice"; empty = unknown
  std::optional<double> minimum;    // inclusive
  std::optional<double> maximum;    // inclusive
  std::vector<std::string> values;  // of a choice
};
BOOST_DESCRIBE_STRUCT(PackFlag, (), (flag, aliases, takes_value, type, minimum, maximum, values))

struct EnginePack {
  std::string name;     // "xllamacpp"
  std::string engine;   // "llama.cpp"
  std::string backend;  // "llama-box"
  std::string version;  // of the package
  std::string build;    // of the engine, "b11549"
  PackKind kind = PackKind::wheel;
  std::vector<std::string> licences;
  std::vector<std::string>
      capabilities;  // "text", "vision", "embeddings", "rerank", "lora", "rpc", "judge"
  std::vector<std::string> runtimes;   // device kinds: "cpu", "cuda", "vulkan" …
  std::vector<std::string> platforms;  // "linux/amd64"; empty = any
  std::vector<std::string> program;    // argv in front of the flags; {pack} and {python} stand
                                       // for the pack's folder and interpreter
  std::vector<PackFlag> flags;         // all that it accepts; empty = unknown, all pass
  std::vector<std::string> lacks;      // flags of the backend that it does not accept
  std::string description;
  std::map<std::string, std::string> environment;  // that the program wants, under the user's own
  std::string api_key_env;         // variable that the program takes its API key from; empty = none
  std::string health_path;         // HTTP path that answers 200 once it is ready: "/health"
  bool compiled = false;           // built on the machine that runs it
  std::vector<std::string> judge;  // argv in front of the engine's flags, of the program that tells
                                   // what the engine would take; empty = there is none
};
BOOST_DESCRIBE_STRUCT(EnginePack, (),
                      (name, engine, backend, version, build, kind, licences, capabilities,
                       runtimes, platforms, program, flags, lacks, description, environment,
                       api_key_env, health_path, compiled, judge))

enum class PackState { available, installing, installed, failed };
BOOST_DESCRIBE_ENUM(PackState, available, installing, installed, failed)

// A pack on one worker.
struct PackStatus {
  EnginePack pack;
  PackState state = PackState::available;
  std::string folder;              // where it is installed
  std::string reason;              // why it failed
  std::string step;                // what an installation is doing
  std::optional<double> progress;  // 0 to 1 while installing
  Bytes size;                      // on disk
  bool outdated = false;           // installed by another Berth, from another recipe
};
BOOST_DESCRIBE_STRUCT(PackStatus, (), (pack, state, folder, reason, step, progress, size, outdated))

}  // namespace berth::model
