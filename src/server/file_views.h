// The files of hubs on the workers, as people see them, and which of them may go. Pure.
#pragma once

#include "base/clock.h"
#include "cluster/protocol.h"
#include "model/files_status.h"
#include "model/instance.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace berth::server {

// The files of one model on one worker, or of a repository that others put there.
struct FileView {
  std::string worker;
  std::string source;  // "hf:org/name:Q4_K_M"
  model::Hub hub = model::Hub::hugging_face;
  std::string repository;
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
  std::string folder;
  std::vector<std::string> used_by;
  bool kept = false;
  bool fetched = false;
  bool writable = true;
  std::string used_at;
  std::string asked_at;
};
BOOST_DESCRIBE_STRUCT(FileView, (),
                      (worker, source, hub, repository, commit, state, reason, file, from, files,
                       size, done, per_second, seconds_left, folder, used_by, kept, fetched,
                       writable, used_at, asked_at))
inline constexpr FieldInfo kFileViewFields[] = {
    {.name = "file", .text = "that is being downloaded, by its path in the repository"},
    {.name = "from", .text = "the worker that it comes from; empty: the hub"},
    {.name = "files", .text = "how many they are"},
    {.name = "size", .text = "all of them", .unit = "bytes"},
    {.name = "done", .text = "what is there", .unit = "bytes"},
    {.name = "per_second", .text = "what comes in a second", .unit = "bytes"},
    {.name = "seconds_left", .text = "at this speed", .unit = "seconds"},
    {.name = "used_by", .text = "the deployed models that need them"},
    {.name = "kept", .text = "somebody asked for them on this worker"},
    {.name = "fetched", .text = "Berth downloaded them; else others put them there"},
    {.name = "writable", .text = "false where they are in a folder that Berth only reads"},
    {.name = "asked_at", .text = "of the newest wish that the worker has taken up"},
    {.name = "used_at", .text = "when an instance last began with them, else when they came"},
};
constexpr std::span<const FieldInfo> field_table(const FileView*) { return kFileViewFields; }

// What is known of one worker.
struct WorkerFiles {
  std::string worker;
  std::vector<model::FilesStatus> statuses;  // that it told
  std::vector<model::FileRequest> requests;  // that are meant for it
  cluster::CachedFiles cached;               // what lies there; empty where it could not be asked
};

struct FileSet {
  FileView view;
  model::RepositoryFiles files;  // none where they are not known any more
};

// One for each set of files that somebody wants, or that Berth fetched and that are still there,
// and one for what else a repository has. By source.
std::vector<FileSet> find_sets(const WorkerFiles& of, const std::vector<model::Model>& models);

// Which files may go.
struct PruneWish {
  std::optional<std::string> worker;
  std::optional<std::uint64_t> older_than;
  std::optional<Bytes> keep;
  bool others = false;
  bool dry_run = false;
};
BOOST_DESCRIBE_STRUCT(PruneWish, (), (worker, older_than, keep, others, dry_run))
inline constexpr FieldInfo kPruneFields[] = {
    {.name = "worker", .text = "only on this worker; on all where absent"},
    {.name = "older_than",
     .text = "only what no instance began with for so long",
     .unit = "seconds"},
    {.name = "keep",
     .text = "on each worker so much of what nothing uses may stay, the last used first",
     .unit = "bytes"},
    {.name = "others", .text = "also what other programs put into the caches"},
    {.name = "dry_run", .text = "only says what would go"},
};
constexpr std::span<const FieldInfo> field_table(const PruneWish*) { return kPruneFields; }

// Those of one worker's files that go by this wish: ready, used by no model, and in a place that
// Berth writes to.
std::vector<FileSet> choose_to_prune(std::vector<FileSet> sets, const PruneWish& wish,
                                     SystemTime now);

}  // namespace berth::server
