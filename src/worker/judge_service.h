// The worker's scales for the server: what a model would take on an engine of this machine.
#pragma once

#include "backends/backend.h"
#include "engines/judge.h"
#include "model/worker.h"
#include "net/router.h"
#include "net/thread_pool.h"
#include "sources/hub/settings.h"

#include <chrono>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <stop_token>
#include <string>
#include <vector>

namespace berth::worker {

// What the route needs; outlives the server that it was added to. Its end ends what is being
// judged.
struct JudgeService {
  static constexpr std::size_t kThreads = 1;  // a judgement keeps a core busy
  static constexpr std::size_t kWaiting = 16;

  ~JudgeService() { stop.request_stop(); }

  std::string access_key;
  const backends::Registry& backends;
  std::function<std::vector<model::PackStatus>()> packs;  // of this worker; does not block
  model::SystemFacts system;                              // of this machine
  engines::Judge judge;
  std::filesystem::path headers;  // a folder for those of a model that is elsewhere
  std::function<Result<sources::HubSettings>()> hubs = [] { return sources::read_hub_settings(); };
  Duration patience = std::chrono::seconds(20);  // with all layouts of a model
  std::stop_source stop = {};
  net::ThreadPool pool{kThreads, kWaiting};
};

// POST /worker/v1/judge: a cluster::JudgeRequest, answered with a model::ComputeTable.
void add_judge_routes(net::Router& router, JudgeService& service);

}  // namespace berth::worker
