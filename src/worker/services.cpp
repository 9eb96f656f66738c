#include "worker/services.h"

#include "base/ids.h"

namespace berth::worker {

Services::Services(const ServiceNeeds& needs)
    : logs_{.data = needs.data, .pool = needs.pool, .access_key = random_key()},
      disk_(logs_.access_key),
      judge_{.access_key = logs_.access_key,
             .backends = backends::builtin_backends(),
             .packs = [&packs = needs.packs] { return packs.list(); },
             .system = needs.system,
             .judge = engines::Judge(needs.data.judgements()),
             .headers = needs.data.headers(),
             .hubs = [&hubs = needs.hubs] { return hubs.settings(); }},
      cache_(logs_.access_key, needs.files, needs.places),
      server_(needs.context, needs.membership),
      shared_(logs_.access_key, needs.files, needs.places,
              [this](cluster::PeerWish wish) { return server_.check(std::move(wish)); }) {}

net::Router Services::routes() {
  net::Router router;
  add_log_routes(router, logs_);
  add_file_routes(router, disk_);
  add_judge_routes(router, judge_);
  add_cache_routes(router, cache_);
  add_shared_file_routes(router, shared_);
  return router;
}

}  // namespace berth::worker
