// Model, Instance and Assignment: the documents that the controllers and workers move.
#pragma once

#include "base/clock.h"
#include "base/describe.h"
#include "model/compute_table.h"
#include "model/deployment.h"
#include "model/files_status.h"
#include "model/gang.h"
#include "model/placement.h"
#include "model/profile.h"
#include "model/rollout.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace berth::model {

// The document kinds of the store.
inline constexpr std::string_view kModelKind = "model";
inline constexpr std::string_view kInstanceKind = "instance";
inline constexpr std::string_view kAssignmentKind = "assignment";
inline constexpr std::string_view kWorkerKind = "worker";
inline constexpr std::string_view kPackRequestKind = "pack_request";
inline constexpr std::string_view kKeyKind = "key";

// A document of kind "model": the deployment, and what was found out when it was accepted.
struct Model {
  Deployment deployment;
  std::string backend;         // the one chosen
  std::string backend_reason;  // why
  ModelProfile profile;
  std::string read_by;  // the worker whose disk the profile was read from; empty: the server's own
  std::vector<std::string> warnings;
  std::string created_at;
  std::uint64_t generation = 1;  // of the deployment; raised by an edit that replaces instances
  bool deleting = false;
  ComputeTable compute;  // measured when it was accepted, where a pack of that machine can
  // Of a model on a hub: what an instance's worker has to fetch. The profile's paths are the files'
  // own in the repository.
  std::optional<RepositoryFiles> files;
  std::uint64_t ready_generation = 0;  // the last that was ready; 0: none was
  Rollout rollout;
  std::optional<Revisions> revisions;  // absent in documents of earlier versions
};
BOOST_DESCRIBE_STRUCT(Model, (),
                      (deployment, backend, backend_reason, profile, read_by, warnings, created_at,
                       generation, deleting, compute, files, ready_generation, rollout, revisions))

enum class InstanceState {
  pending,      // no placement yet; `reason` says what is missing
  scheduled,    // placed; its worker has not taken it up yet
  installing,   // its engine pack is being installed
  downloading,  // its model's files are being fetched
  starting,     // the engine's process runs and loads the model
  ready,        // answers requests
  unreachable,  // its worker is silent; its engine may well be running
  restarting,   // ended; waits for its next attempt
  failed,       // given up after too many failures
  stopping,     // asked to end
};
BOOST_DESCRIBE_ENUM(InstanceState, pending, scheduled, installing, downloading, starting, ready,
                    unreachable, restarting, failed, stopping)

// How an engine's attempt ended.
struct EngineExit {
  std::optional<int> exit_code;
  std::optional<int> signal;
  std::string likely_cause;             // "port taken", "out of memory"; empty where unknown
  std::vector<std::string> last_lines;  // of its log
  std::string at;
};
BOOST_DESCRIBE_STRUCT(EngineExit, (), (exit_code, signal, likely_cause, last_lines, at))

// A member as its worker reports it.
struct MemberStatus {
  InstanceState state = InstanceState::scheduled;
  std::string reason;
  std::optional<int> pid;

  friend bool operator==(const MemberStatus&, const MemberStatus&) = default;
};
BOOST_DESCRIBE_STRUCT(MemberStatus, (), (state, reason, pid))

// A document of kind "instance".
struct Instance {
  std::string name;   // "chat-x7k2"
  std::string model;  // the deployment's name
  std::uint64_t model_generation = 1;
  std::uint64_t generation = 1;  // raised when the instance is placed anew
  InstanceState state = InstanceState::pending;
  std::string reason;              // why it is in this state, for a person
  std::string state_since;         // RFC 3339
  std::string deadline;            // when this state has lasted too long; empty = may last
  std::optional<double> progress;  // 0 to 1 of a long step
  std::optional<Placement> placement;
  std::optional<Serving> serving;
  std::string host;        // where its engine listens: the worker's loopback
  std::uint16_t port = 0;  // 0 = not leased yet
  std::string engine_key;
  std::optional<int> pid;
  std::uint32_t attempt = 0;
  std::uint32_t failures = 0;  // in a row
  std::optional<EngineExit> last_exit;
  std::vector<std::string> given_up_on;  // workers on which it failed too often
  std::vector<std::string> warnings;
  std::string created_at;
  std::optional<Gang> gang;           // absent: one process is all of it
  std::vector<MemberStatus> members;  // of the gang, in its order

  // Nothing of it runs any more, or will not for long.
  [[nodiscard]] bool is_over() const {
    return state == InstanceState::failed || state == InstanceState::stopping;
  }

  // Is in `next` for `why`; a state other than the one before lasts from `now`, without a deadline.
  void enter(InstanceState next, std::string why, SystemTime now);
};
BOOST_DESCRIBE_STRUCT(Instance, (),
                      (name, model, model_generation, generation, state, reason, state_since,
                       deadline, progress, placement, serving, host, port, engine_key, pid, attempt,
                       failures, last_exit, given_up_on, warnings, created_at, gang, members))
inline constexpr FieldInfo kInstanceFields[] = {
    {.name = "engine_key", .text = "opens the engine's own API", .secret = true},
};
constexpr std::span<const FieldInfo> field_table(const Instance*) { return kInstanceFields; }

// A document of kind "assignment", named "INSTANCE.GENERATION.MEMBER": what one worker should run.
// It is there as long as it should run; the worker ends what has no assignment any more.
struct Assignment {
  std::string instance;
  std::uint64_t generation = 1;
  std::uint32_t member = 0;  // of the gang; 0 is the main process
  std::string worker;
  Deployment deployment;
  std::string backend;
  ModelProfile profile;
  Placement placement;
  Serving serving;
  std::string engine_key;
  bool drain = false;  // gets no new requests; ends when those under way are answered
  std::optional<RepositoryFiles> files;  // to be fetched first; see Model
  std::optional<Gang> gang;              // absent: this process is all of the instance
};
BOOST_DESCRIBE_STRUCT(Assignment, (),
                      (instance, generation, member, worker, deployment, backend, profile,
                       placement, serving, engine_key, drain, files, gang))
inline constexpr FieldInfo kAssignmentFields[] = {
    {.name = "engine_key", .text = "opens the engine's own API", .secret = true},
};
constexpr std::span<const FieldInfo> field_table(const Assignment*) { return kAssignmentFields; }

// "INSTANCE.GENERATION.MEMBER".
std::string assignment_name(const std::string& instance, std::uint64_t generation,
                            std::uint32_t member);

// A document of kind "pack_request", named "WORKER.PACK": a pack that somebody wants on a worker,
// or gone from it.
struct PackRequest {
  std::string worker;
  std::string pack;
  bool wanted = true;
  std::string at;  // a later time asks again after a failure
};
BOOST_DESCRIBE_STRUCT(PackRequest, (), (worker, pack, wanted, at))

}  // namespace berth::model
