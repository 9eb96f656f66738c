#include "worker/judge_service.h"

#include "base/json.h"
#include "worker/in_time.h"
#include "worker/judging.h"
#include "worker/listener.h"

#include <memory>

namespace berth::worker {
namespace {

using Table = Result<model::ComputeTable>;

// A profile lists every layer of a model.
constexpr Bytes kLargestRequest = 16_MiB;

net::Task<Result<cluster::JudgeRequest>> read_request(net::Exchange& exchange) {
  BERTH_CO_TRY(const auto body, co_await exchange.read_body(kLargestRequest));
  BERTH_CO_TRY(const auto document, parse_json(body));
  co_return from_json<cluster::JudgeRequest>(document, UnknownMembers::ignore);
}

net::Task<Table> judge(JudgeService& service, cluster::JudgeRequest request) {
  const auto packs = service.packs();
  const auto* found = find_judge(packs, request.backend);
  if (found == nullptr) co_return model::ComputeTable{};
  const auto shared = std::make_shared<const cluster::JudgeRequest>(std::move(request));
  const model::Worker worker{.name = "here", .system = service.system};
  // A judgement that comes late is remembered for the next time.
  co_return co_await answer_in_time(
      service.pool, service.patience, "judging " + shared->deployment.source,
      [&service, shared, worker, pack = *found]() -> Table {
        return judge_model(service.judge, service.backends, pack, worker, *shared, service.patience,
                           service.stop.get_token());
      });
}

net::Task<> serve_judgement(JudgeService& service, net::Exchange& exchange) {
  if (auto allowed = check_key(exchange.request(), service.access_key); !allowed) {
    co_await exchange.respond(net::error_response(allowed.error()));
    co_return;
  }
  auto request = co_await read_request(exchange);
  if (!request) {
    co_await exchange.respond(net::error_response(request.error()));
    co_return;
  }
  auto table = co_await judge(service, *std::move(request));
  co_await exchange.respond(table ? net::json_response(200, to_json(*table))
                                  : net::error_response(table.error()));
}

}  // namespace

void add_judge_routes(net::Router& router, JudgeService& service) {
  router.add("POST", "/worker/v1/judge",
             [&service](net::Exchange& exchange) { return serve_judgement(service, exchange); });
}

}  // namespace berth::worker
