// The routes of a worker's own listener, and what they need.
#pragma once

#include "worker/cache_service.h"
#include "worker/fetching.h"
#include "worker/file_service.h"
#include "worker/judge_service.h"
#include "worker/log_service.h"
#include "worker/packs.h"
#include "worker/server_link.h"
#include "worker/shared_files.h"

#include <string>

namespace berth::worker {

// References to what outlives the services.
struct ServiceNeeds {
  DataFolder data;
  net::ThreadPool& pool;
  const Packs& packs;
  ModelFiles& files;
  const HubWays& hubs;
  const Membership& membership;
  net::IoContext& context;  // that runs the routes
  sources::CachePlaces places;
  model::SystemFacts system;
};

// Outlives the server that serves its routes.
class Services {
 public:
  explicit Services(const ServiceNeeds& needs);

  [[nodiscard]] net::Router routes();
  // Opens them all; made anew by each worker.
  [[nodiscard]] const std::string& access_key() const { return logs_.access_key; }

 private:
  LogService logs_;
  FileService disk_;
  JudgeService judge_;
  CacheService cache_;
  ServerLink server_;
  SharedFiles shared_;
};

}  // namespace berth::worker
