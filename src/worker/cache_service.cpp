#include "worker/cache_service.h"

#include "base/json.h"
#include "worker/in_time.h"
#include "worker/listener.h"

namespace berth::worker {
namespace {

constexpr Bytes kLargestRequest = 16_MiB;  // a repository may have thousands of files

template <class T>
net::Response to_response(const Result<T>& answer) {
  return answer ? net::json_response(200, to_json(*answer)) : net::error_response(answer.error());
}

net::Task<> serve_list(CacheService& service, net::Exchange& exchange) {
  if (auto allowed = check_key(exchange.request(), service.access_key); !allowed) {
    co_await exchange.respond(net::error_response(allowed.error()));
    co_return;
  }
  const auto found = co_await answer_in_time(
      service.pool, service.patience, "looking through the caches",
      [&files = service.files, places = service.places]() -> Result<cluster::CachedFiles> {
        return cluster::CachedFiles{.repositories = sources::list_caches(places),
                                    .fetched = files.notes()};
      });
  co_await exchange.respond(to_response(found));
}

net::Task<Result<cluster::Freed>> remove(CacheService& service, net::Exchange& exchange) {
  BERTH_CO_CHECK(check_key(exchange.request(), service.access_key));
  BERTH_CO_TRY(const auto body, co_await exchange.read_body(kLargestRequest));
  BERTH_CO_TRY(const auto document, parse_json(body));
  BERTH_CO_TRY(const auto wanted,
               from_json<model::RepositoryFiles>(document, UnknownMembers::ignore));
  co_return co_await answer_in_time(service.pool, service.patience, "removing " + wanted.source,
                                    [&files = service.files, wanted]() -> Result<cluster::Freed> {
                                      BERTH_TRY(const Bytes freed, files.remove(wanted));
                                      return cluster::Freed{.freed = freed};
                                    });
}

net::Task<> serve_removal(CacheService& service, net::Exchange& exchange) {
  const auto removed = co_await remove(service, exchange);
  co_await exchange.respond(to_response(removed));
}

}  // namespace

void add_cache_routes(net::Router& router, CacheService& service) {
  router.add("GET", "/worker/v1/files",
             [&service](net::Exchange& exchange) { return serve_list(service, exchange); });
  router.add("POST", "/worker/v1/files/remove",
             [&service](net::Exchange& exchange) { return serve_removal(service, exchange); });
}

}  // namespace berth::worker
