// The answers of the management API, as far as commands read them.
#pragma once

#include "base/describe.h"
#include "model/instance.h"
#include "model/worker.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace berth::app {

struct ModelView {
  std::string name;
  std::string state;
  std::string reason;
  std::uint32_t replicas = 0;
  std::uint64_t instances = 0;
  std::uint64_t ready = 0;
  std::string backend;
  model::Deployment deployment;
  model::ModelProfile profile;
  std::string read_by;
  std::vector<std::string> warnings;
  std::string created_at;
  std::uint64_t generation = 1;
  bool deleting = false;
  model::Rollout rollout;
};
BOOST_DESCRIBE_STRUCT(ModelView, (),
                      (name, state, reason, replicas, instances, ready, backend, deployment,
                       profile, read_by, warnings, created_at, generation, deleting, rollout))

struct RolloutAnswer {
  std::string name;
  std::uint64_t revision = 1;
  model::RolloutState state = model::RolloutState::complete;
  std::string reason;
  std::string since;
  std::string deadline;
  std::uint32_t replicas = 0;
  std::uint64_t updated = 0;
  std::uint64_t ready = 0;
  std::uint64_t old = 0;
  std::vector<model::PastRevision> revisions;
};
BOOST_DESCRIBE_STRUCT(RolloutAnswer, (),
                      (name, revision, state, reason, since, deadline, replicas, updated, ready,
                       old, revisions))

struct InstanceView {
  std::string name;
  std::string model;
  std::uint64_t model_generation = 1;
  model::InstanceState state = model::InstanceState::pending;
  std::string reason;
  std::string state_since;
  std::optional<double> progress;
  std::optional<model::Placement> placement;
  std::optional<model::Serving> serving;
  std::optional<std::string> worker;
  std::uint16_t port = 0;
  std::uint32_t attempt = 0;
  std::optional<Bytes> resident;  // memory that its processes use now
  std::optional<model::EngineExit> last_exit;
  std::vector<std::string> warnings;
  std::string created_at;
};
BOOST_DESCRIBE_STRUCT(InstanceView, (),
                      (name, model, model_generation, state, reason, state_since, progress,
                       placement, serving, worker, port, attempt, resident, last_exit, warnings,
                       created_at))

struct EngineView {
  std::string worker;
  model::EnginePack pack;
  model::PackState state = model::PackState::available;
  std::string folder;
  std::string reason;
  std::string step;
  std::optional<double> progress;
  Bytes size;
  bool outdated = false;
};
BOOST_DESCRIBE_STRUCT(EngineView, (),
                      (worker, pack, state, folder, reason, step, progress, size, outdated))

struct FileView {
  std::string worker;
  std::string source;
  std::string commit;
  model::FilesState state = model::FilesState::ready;
  std::string reason;
  std::string file;
  std::string from;
  std::uint64_t files = 0;
  Bytes size;
  Bytes done;
  Bytes per_second;
  std::optional<std::uint64_t> seconds_left;
  std::vector<std::string> used_by;
  bool fetched = false;
  bool writable = true;
  std::string used_at;
  std::string asked_at;
};
BOOST_DESCRIBE_STRUCT(FileView, (),
                      (worker, source, commit, state, reason, file, from, files, size, done,
                       per_second, seconds_left, used_by, fetched, writable, used_at, asked_at))

// Files that a worker was asked to fetch.
struct FilesAsked {
  std::string worker;
  std::string source;
  std::string commit;
  std::vector<std::string> files;
  Bytes size;
  std::string asked_at;
};
BOOST_DESCRIBE_STRUCT(FilesAsked, (), (worker, source, commit, files, size, asked_at))

struct FilesRemoved {
  Bytes freed;
};
BOOST_DESCRIBE_STRUCT(FilesRemoved, (), (freed))

struct FilesPruned {
  Bytes freed;
  std::vector<FileView> items;
  std::vector<std::string> errors;
};
BOOST_DESCRIBE_STRUCT(FilesPruned, (), (freed, items, errors))

}  // namespace berth::app
