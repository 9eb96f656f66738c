// The judge: a program of some packs that tells what the engine would take with given flags, by its
// own allocator and without allocating it.
#pragma once

#include "base/bytes.h"
#include "base/clock.h"
#include "base/describe.h"
#include "base/result.h"
#include "engines/commands.h"

#include <filesystem>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace berth::engines {

// A device that need not be there.
struct StandInDevice {
  std::string name;
  std::string kind;  // how it lays out buffers: "cuda", "rpc"
  Bytes memory;
};

struct JudgeQuestion {
  std::vector<std::string> argv;       // the judge's program, then the engine's flags
  std::vector<StandInDevice> devices;  // in the place of the machine's own; empty: the CPU alone
  std::vector<std::filesystem::path> files;  // whose content the answer depends on
  std::string build;                         // of the engine
  // What tells the content of files that are not this machine's own: their digests.
  std::vector<std::string> contents = {};
};

struct JudgedSizes {
  std::string name;  // of the device; "cpu" for the host
  Bytes weights;
  Bytes kv_cache;
  Bytes compute;
  Bytes projector;  // weights and buffers
};
BOOST_DESCRIBE_STRUCT(JudgedSizes, (), (name, weights, kv_cache, compute, projector))

struct Judgement {
  std::uint32_t layers = 0;
  std::vector<JudgedSizes> devices;  // in the question's order; the host last
};
BOOST_DESCRIBE_STRUCT(Judgement, (), (layers, devices))

// Remembers what was judged, on disk, by build, flags and the files' identity (device, inode, size,
// time of change; or their content, as the question says). All calls block (a judgement takes a
// second), and are thread-safe.
class Judge {
 public:
  // Keeps answers in `folder`, the `most` newest. `commands` must outlive the judge.
  explicit Judge(std::filesystem::path folder, CommandRunner& commands = real_commands(),
                 std::size_t most = 1000);

  // Fails with unsupported where the engine refuses model or flags (its words are in the message),
  // with timeout, cancelled, or io (the program does not run, or answers something else).
  Result<Judgement> ask(const JudgeQuestion& question, Duration timeout, std::stop_token stop = {});

  // What `ask` would say without asking; nothing where it is not remembered.
  [[nodiscard]] std::optional<Judgement> known(const JudgeQuestion& question) const;

 private:
  [[nodiscard]] std::filesystem::path place_of(const JudgeQuestion& question) const;
  void remember(const std::filesystem::path& path, const Judgement& answer) const;

  std::filesystem::path folder_;
  CommandRunner& commands_;
  std::size_t most_;
};

// What a judge writes: one JSON object. Fails as `Judge::ask`. Pure.
Result<Judgement> parse_judgement(std::string_view output, std::size_t devices);

}  // namespace berth::engines
