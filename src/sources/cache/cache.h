// The files of hubs on this machine: found where any tool put them, fetched into the layout of the
// hub's own tools, listed, and removed.
#pragma once

#include "model/files_status.h"
#include "model/repository_files.h"
#include "sources/cache/places.h"
#include "sources/download/download.h"
#include "sources/hub/listing.h"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace berth::sources {

using model::CachedRepository;

// All files of a model on this machine.
struct LocalFiles {
  // Absolute; where all have their names in the repository, else empty.
  std::filesystem::path folder;
  std::map<std::string, std::filesystem::path> paths;  // absolute, by the path in the repository
  bool was_fetched = false;  // by fetch_files, some of them; else others had put all there
};

enum class FetchPhase { waiting, downloading, verifying };

// Of all files together.
struct FetchProgress {
  FetchPhase phase = FetchPhase::waiting;
  std::string file;  // that is at work, by its path in the repository
  std::string from;  // the mirror that it comes from; empty: the hub
  Bytes done;        // with what is there already
  Bytes total;
  Bytes per_second;
};

// Another machine that has the files, nearer than the hub.
struct Mirror {
  std::string name;   // for people
  std::string base;   // "http://127.0.0.1:4711/box-2": the first of the files is BASE/0
  std::string token;  // that opens it
};

struct FetchOptions {
  DownloadOptions download;  // for each file; its on_progress, lock and stop are replaced
  // Called once where something is missing. The mirrors are asked before the hub, one after the
  // other, for files whose digest is known; one that fails is asked no more.
  std::function<std::vector<Mirror>()> find_mirrors;
  std::function<void(const FetchProgress&)> on_progress;  // on the thread that called
  std::stop_token stop;
};

// Where the files are, if all of them are here whole: in the hub's own cache, else in one of the
// other places. Looks at names, sizes and what the layout says of their digests, or what
// fetch_files found out when it read them; reads no content, asks nobody. Symlinks that lead out of
// the cache are not followed (the file counts as absent). Blocks; thread-safe.
Result<std::optional<LocalFiles>> find_cached(const model::RepositoryFiles& files,
                                              const CachePlaces& places);

// As find_cached, with what nobody knows the digest of read once, and with what is missing
// downloaded and verified before it gets its name. Several at
// once, in any processes, fetch each file once. What came is kept when it ends early, and a later
// call goes on from there. Blocks; thread-safe.
//
// Errors: as `download` and `list_repository`, beginning with the model's source; io where the
// cache can not be written (names the folder and the variable that moves it); conflict where a path
// is taken by something else; corrupt for files that would lie outside of the cache.
Result<LocalFiles> fetch_files(const model::RepositoryFiles& files, const CachePlaces& places,
                               const HubSettings& settings, const FetchOptions& options = {});

// Removes these files where no other commit, branch or tag of the repository in the cache needs
// them, with what is left of their downloads. Never touches the other places. Gives the bytes that
// were freed; not being there is no error. Fails with conflict while somebody downloads one of
// them, with io.
Result<Bytes> remove_cached(const model::RepositoryFiles& files, const CachePlaces& places);

// What the cache itself knows of a repository at the name's revision: a listing without addresses,
// for when the hub can not be asked. Fails with not_found. The files that it lists are here, but
// need not be all that the repository has.
Result<HubListing> list_cached(const HubName& name, const CachePlaces& places);

// All repositories in all places; what does not look like one is left out. Blocks; thread-safe.
std::vector<CachedRepository> list_caches(const CachePlaces& places);

}  // namespace berth::sources
