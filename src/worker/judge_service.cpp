#include "worker/judge_service.h"

#include "base/json.h"
#include "sources/address.h"
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

// Two models at a time would be in the same folder.
static_assert(JudgeService::kThreads == 1);

Table judge_now(JudgeService& service, const model::PackStatus& pack,
                const cluster::JudgeRequest& request) {
  const model::Worker worker{.name = "here", .system = service.system};
  const Scales scales{.judge = service.judge,
                      .backends = service.backends,
                      .pack = pack,
                      .worker = worker,
                      .timeout = service.patience,
                      .stop = service.stop.get_token()};
  if (!is_absent(request)) return judge_model(scales, request);
  BERTH_TRY(auto settings, service.hubs());
  settings.http.total = service.patience;
  settings.http.stop = scales.stop;
  BERTH_TRY(const auto model, AbsentModel::open(request, std::move(settings), service.headers));
  return judge_absent(scales, *model);
}

// What is judged, in a form that is fit for messages.
std::string shown(const std::string& source) {
  if (!sources::is_address(source)) return source;
  const auto address = sources::parse_address(source);
  return address ? address->shown : "an address";
}

net::Task<Table> judge(JudgeService& service, cluster::JudgeRequest request) {
  const auto packs = service.packs();
  const auto* found = find_judge(packs, request.backend);
  if (found == nullptr) co_return model::ComputeTable{};
  const auto shared = std::make_shared<const cluster::JudgeRequest>(std::move(request));
  // A judgement that comes late is remembered for the next time.
  co_return co_await answer_in_time(
      service.pool, service.patience, "judging " + shown(shared->deployment.source),
      [&service, shared, pack = *found]() -> Table { return judge_now(service, pack, *shared); });
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
