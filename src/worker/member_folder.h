// MemberFolder: what one member of an instance keeps on disk: its log of each attempt, the shim's
// state, and a note by which a restarted agent finds it again.
#pragma once

#include "base/data_folder.h"
#include "base/describe.h"
#include "model/instance.h"
#include "model/launch_plan.h"

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

namespace berth::worker {

// The content of member.json: what the agent must know again of an engine that went on without it.
// It holds no secret.
struct MemberNote {
  std::string instance;
  std::uint64_t generation = 1;
  std::uint32_t member = 0;
  std::string pack;
  std::uint32_t attempt = 0;
  std::uint32_t failures = 0;
  std::uint16_t port = 0;
  std::vector<std::uint16_t> other_ports;  // of a member of a gang
  model::HealthProbe probe;
  model::LivenessProbe liveness;
  std::chrono::milliseconds readiness_deadline{std::chrono::minutes(10)};
  std::chrono::milliseconds stop_grace{std::chrono::seconds(10)};
  std::optional<std::uint64_t> memory_kills;  // by the kernel, when the attempt began
  std::string control_group;                  // the folder of the attempt's; empty: it has none

  // Its leased ports, in the order in which its backend knows them.
  [[nodiscard]] std::vector<std::uint16_t> ports() const;
};
BOOST_DESCRIBE_STRUCT(MemberNote, (),
                      (instance, generation, member, pack, attempt, failures, port, other_ports,
                       probe, liveness, readiness_deadline, stop_grace, memory_kills,
                       control_group))

// By which a member's processes are known: "chat-x7k2", of the second member of a gang
// "chat-x7k2.1".
std::string process_tag(const std::string& instance, std::uint32_t member);

// A value; the calls block on the disk.
class MemberFolder {
 public:
  // "INSTANCES/INSTANCE/GENERATION.MEMBER".
  MemberFolder(const DataFolder& data, const std::string& instance, std::uint64_t generation,
               std::uint32_t member);
  explicit MemberFolder(std::filesystem::path path) : path_(std::move(path)) {}

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] std::filesystem::path log(std::uint32_t attempt) const;
  [[nodiscard]] std::filesystem::path shim_state() const { return path_ / "shim.json"; }
  [[nodiscard]] std::filesystem::path shim_spec() const { return path_ / "shim.spec"; }

  Result<void> create() const;
  Result<void> write_note(const MemberNote& note) const;
  Result<MemberNote> read_note() const;
  // Removes logs of attempts older than the last `kept`.
  void forget_old_logs(std::uint32_t attempt, std::uint32_t kept) const;
  // Removes the folder, and the instance's where nothing else is in it.
  void remove() const;

 private:
  std::filesystem::path path_;
};

// Every member's folder that holds a note.
std::vector<MemberFolder> find_member_folders(const DataFolder& data);

struct AttemptLog {
  std::uint32_t attempt = 0;
  std::filesystem::path path;
};

// The logs that are kept of a process of an instance, the last one at the end. Fails with not_found
// where there is none.
Result<std::vector<AttemptLog>> list_logs(const DataFolder& data, const std::string& instance,
                                          std::uint32_t member = 0);

// Of those, the one of `attempt`, or of the attempt before the last one, or else of the last one.
// Fails with not_found.
Result<AttemptLog> choose_log(const std::vector<AttemptLog>& logs, const std::string& instance,
                              std::optional<std::uint32_t> attempt, bool previous);

// The head of an attempt's log: what was asked, what is in force, who decided each variable.
std::string log_head(const MemberNote& note, const model::LaunchPlan& plan, const std::string& now);

}  // namespace berth::worker
