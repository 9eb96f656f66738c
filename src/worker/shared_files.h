// What this worker shares with others: files of models that it has, for workers that need them.
#pragma once

#include "base/clock.h"
#include "cluster/protocol.h"
#include "net/router.h"
#include "net/thread_pool.h"
#include "worker/model_files.h"

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace berth::worker {

// What the routes need; outlives the server that they were added to, on whose one io_context it is
// used.
struct SharedFiles {
  // Asks the server whether somebody may read the files; fails with permission_denied where not.
  using Check = std::function<net::Task<Result<void>>(cluster::PeerWish)>;
  // The files of a key, in their order, by path on this disk and size.
  using Files = std::vector<std::pair<std::filesystem::path, Bytes>>;
  // That somebody may read them.
  struct Grant {
    std::shared_ptr<const Files> files;
    SteadyTime until;
  };

  SharedFiles(std::string key, ModelFiles& model_files, sources::CachePlaces cache_places,
              Check may_read)
      : access_key(std::move(key)),
        files(model_files),
        places(std::move(cache_places)),
        check(std::move(may_read)) {}

  static constexpr std::size_t kThreads = 2;
  static constexpr std::size_t kWaiting = 64;        // further readers are refused
  static constexpr std::size_t kMostTransfers = 16;  // at the same time
  std::string access_key;
  ModelFiles& files;
  sources::CachePlaces places;
  Check check;
  Duration patience = std::chrono::seconds(10);  // with a disk that does not answer
  std::map<std::string, Grant> grants;           // by who and what
  std::size_t transfers = 0;
  net::ThreadPool pool{kThreads, kWaiting};
};

// GET /worker/v1/shared/{key}: cluster::FilesOffer, or not_found.
// GET /worker/v1/shared/{key}/{index}: the content of a file, or the one range of it that is asked
// for. Both for the server, which has checked who wants them; and as /peer/v1/files/… for workers,
// which the server is asked about.
void add_shared_file_routes(net::Router& router, SharedFiles& service);

}  // namespace berth::worker
