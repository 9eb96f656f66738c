// The worker's eyes for the server: what the models on this machine's disk are.
#pragma once

#include "base/clock.h"
#include "net/router.h"
#include "net/thread_pool.h"

#include <chrono>
#include <cstddef>
#include <string>
#include <utility>

namespace berth::worker {

// What the routes need; outlives the server that they were added to. Its threads are its own, so
// that a disk that hangs holds up nothing else.
struct FileService {
  explicit FileService(std::string key) : access_key(std::move(key)) {}

  static constexpr std::size_t kThreads = 2;
  static constexpr std::size_t kWaiting = 16;  // further questions are refused
  std::string access_key;
  Duration patience = std::chrono::seconds(20);  // with a disk that does not answer
  net::ThreadPool pool{kThreads, kWaiting};
};

// GET /worker/v1/profile?path=ABSOLUTE: the sources::LocalModel that a path or glob means. Reads
// headers only, and regular files only; answers within the service's patience.
void add_file_routes(net::Router& router, FileService& service);

}  // namespace berth::worker
