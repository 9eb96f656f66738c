// FileRequest and FilesStatus: the files of a model that somebody wants on a worker, and how far
// they are there.
#pragma once

#include "model/repository_files.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth::model {

// A document of kind "file_request", named by file_request_name: files that are wanted on a worker,
// whether an instance needs them now or not, and whether their download may go on.
struct FileRequest {
  std::string worker;
  RepositoryFiles files;
  bool keep = true;     // false: only for the instances that need them
  bool paused = false;  // nothing is downloaded meanwhile
  std::string at;       // a later time asks again after a failure
};
BOOST_DESCRIBE_STRUCT(FileRequest, (), (worker, files, keep, paused, at))
inline constexpr std::string_view kFileRequestKind = "file_request";

// The same for the same files of the same commit, whatever the source is called: 16 hexadecimal
// digits.
std::string files_key(const RepositoryFiles& files);
// Whether a text looks like one.
bool is_files_key(std::string_view text);
// "WORKER.KEY".
std::string file_request_name(const std::string& worker, const RepositoryFiles& files);

enum class FilesState {
  queued,       // waits for its turn, for space, or for a hub that is in trouble: see `reason`
  downloading,  // also while it is seen what is there
  verifying,    // all came; its digest is being computed
  ready,        // all there, verified
  paused,       // by somebody's wish
  failed,       // `reason` says why; asked for again, it begins anew
};
BOOST_DESCRIBE_ENUM(FilesState, queued, downloading, verifying, ready, paused, failed)

// What a worker says of files that somebody wants there.
struct FilesStatus {
  std::string key;     // files_key
  std::string source;  // "hf:org/name:Q4_K_M"
  Hub hub = Hub::hugging_face;
  std::string repository;
  std::string commit;
  FilesState state = FilesState::queued;
  std::string reason;
  std::string file;  // that is at work, by its path in the repository
  std::string from;  // where it comes from, if not from the hub: "box-2"
  Bytes done;
  Bytes total;
  Bytes per_second;                           // while downloading
  std::optional<std::uint64_t> seconds_left;  // at this speed
  std::string folder;                         // where they are, once they are ready
  std::string asked_at;                       // of the newest request that was taken up
};
BOOST_DESCRIBE_STRUCT(FilesStatus, (),
                      (key, source, hub, repository, commit, state, reason, file, from, done, total,
                       per_second, seconds_left, folder, asked_at))
inline constexpr FieldInfo kFilesStatusFields[] = {
    {.name = "done", .text = "what is there", .unit = "bytes"},
    {.name = "total", .text = "all files together", .unit = "bytes"},
    {.name = "per_second", .text = "what comes in a second", .unit = "bytes"},
    {.name = "seconds_left", .text = "at this speed", .unit = "seconds"},
};
constexpr std::span<const FieldInfo> field_table(const FilesStatus*) { return kFilesStatusFields; }

// One repository at one commit in a cache of a machine, whoever put it there.
struct CachedRepository {
  Hub hub = Hub::hugging_face;
  std::string repository;
  std::string commit;     // empty where the layout does not say
  std::string revisions;  // branches and tags that lead to it: "main, v1"
  std::string folder;
  std::vector<RepositoryFile> files;
  Bytes size;              // on the disk, each blob once
  std::string changed_at;  // RFC 3339: when its newest file came
  bool writable = true;    // false where Berth only reads
};
BOOST_DESCRIBE_STRUCT(CachedRepository, (),
                      (hub, repository, commit, revisions, folder, files, size, changed_at,
                       writable))

// What a worker fetched itself, and when an instance last began with it.
struct FetchNote {
  RepositoryFiles files;
  std::string folder;
  std::string fetched_at;  // RFC 3339
  std::string used_at;
};
BOOST_DESCRIBE_STRUCT(FetchNote, (), (files, folder, fetched_at, used_at))

// "model.gguf: 1.2 GiB of 4.9 GiB, 112.0 MiB/s, 34s left", "queued: waits for its turn".
std::string describe(const FilesStatus& status);

}  // namespace berth::model
