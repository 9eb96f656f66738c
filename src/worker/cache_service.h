// The worker's caches for the server: what of the hubs is on this machine, and its removal.
#pragma once

#include "cluster/protocol.h"
#include "net/router.h"
#include "net/thread_pool.h"
#include "worker/model_files.h"

#include <cstddef>
#include <string>
#include <utility>

namespace berth::worker {

// What the routes need; outlives the server that they were added to.
struct CacheService {
  CacheService(std::string key, ModelFiles& model_files, sources::CachePlaces cache_places)
      : access_key(std::move(key)), files(model_files), places(std::move(cache_places)) {}

  static constexpr std::size_t kThreads = 1;
  static constexpr std::size_t kWaiting = 16;  // further questions are refused
  std::string access_key;
  ModelFiles& files;
  sources::CachePlaces places;
  Duration patience = std::chrono::seconds(20);  // with a disk that does not answer
  net::ThreadPool pool{kThreads, kWaiting};
};

// GET /worker/v1/files: what is in the caches, as cluster::CachedFiles.
// POST /worker/v1/files/remove, a model::RepositoryFiles: answered with cluster::Freed.
void add_cache_routes(net::Router& router, CacheService& service);

}  // namespace berth::worker
