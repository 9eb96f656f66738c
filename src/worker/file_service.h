// The worker's eyes for the server: what the models on this machine's disk are.
#pragma once

#include "net/router.h"
#include "net/thread_pool.h"

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
  net::ThreadPool pool{kThreads, kWaiting};
};

// GET /worker/v1/profile?path=ABSOLUTE: the ModelProfile of a file or folder. Reads headers only,
// and regular files only; answers within 20 s.
void add_file_routes(net::Router& router, FileService& service);

}  // namespace berth::worker
