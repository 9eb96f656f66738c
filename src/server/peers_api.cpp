#include "server/peers_api.h"

#include "net/client.h"
#include "net/relay.h"
#include "server/worker_documents.h"
#include "store/typed.h"

#include <algorithm>

namespace berth::server {
namespace {

// As many as a worker that needs files may ask, one after the other, before it asks the hub.
constexpr std::size_t kMostPeers = 8;
constexpr net::ClientDeadlines kDeadlines{.connect = std::chrono::seconds(2),
                                          .head = std::chrono::seconds(20),
                                          .idle = std::chrono::seconds(20)};

// Whether a document of the kind, which is for the worker, has "files" of that key.
Result<bool> names_files(const ServerContext& context, std::string_view kind,
                         std::string_view worker, std::string_view key) {
  BERTH_TRY(const auto listing, context.store.list(kind));
  return std::ranges::any_of(listing.documents, [&](const store::Document& document) {
    const auto* files = document.data.if_contains("files");
    if (files == nullptr || !is_for(document.data, worker)) return false;
    const auto read = from_json<model::RepositoryFiles>(*files, UnknownMembers::ignore);
    return read && model::files_key(*read) == key;
  });
}

// Whether an instance or a person wants the files on the worker.
Result<bool> needs(const ServerContext& context, std::string_view worker, std::string_view key) {
  BERTH_TRY(const bool is_assigned, names_files(context, model::kAssignmentKind, worker, key));
  if (is_assigned) return true;
  return names_files(context, model::kFileRequestKind, worker, key);
}

Result<void> check_need(const ServerContext& context, const std::string& worker,
                        const std::string& key) {
  BERTH_TRY(const bool is_needed, needs(context, worker, key));
  if (is_needed) return {};
  return fail(ErrorCode::permission_denied, "the worker {} needs no such files", worker);
}

bool has_ready(const std::vector<model::FilesStatus>& files, std::string_view key) {
  return std::ranges::any_of(files, [&](const model::FilesStatus& status) {
    return status.key == key && status.state == model::FilesState::ready;
  });
}

// Those that say that they have the files, then those that may have them unsaid, since nothing
// there needs them any more.
Result<net::Response> list_peers(ServerContext& context, const ApiRequest& request) {
  const std::string key(request.head.query.get("files").value_or(""));
  BERTH_CHECK(check_need(context, request.member.worker, key));
  BERTH_TRY(const auto workers, store::list_as<model::Worker>(context.store, model::kWorkerKind));
  const auto files = context.workers.files();
  cluster::Peers sure;
  cluster::Peers unsure;
  for (const auto& stored : workers.items) {
    const model::Worker& worker = stored.value;
    const bool can_be_asked =
        worker.name != request.member.worker && worker.state == model::WorkerState::ready;
    if (!can_be_asked) continue;
    const auto told = files.find(worker.name);
    const bool is_sure = told != files.end() && has_ready(told->second, key);
    (is_sure ? sure : unsure)
        .items.push_back(
            {.worker = worker.name, .address = worker.local ? std::string() : worker.address});
  }
  std::ranges::move(unsure.items, std::back_inserter(sure.items));
  if (sure.items.size() > kMostPeers) sure.items.resize(kMostPeers);
  return net::json_response(200, to_json(sure));
}

Result<net::Response> check_peer(ServerContext& context, const ApiRequest& request) {
  BERTH_TRY(const auto wish, from_json<cluster::PeerWish>(request.body, UnknownMembers::ignore));
  const auto member = context.members.authenticate({.name = wish.name, .serial = wish.serial});
  if (!member) return fail(ErrorCode::permission_denied, "{}", member.error().message);
  BERTH_CHECK(check_need(context, member->worker, wish.files));
  return net::json_response(200, json::object{});
}

Result<model::Worker> find_own(const ServerContext& context, const std::string& name) {
  BERTH_TRY(auto worker, find_worker(context, name));
  if (worker.local) return worker;
  return fail(ErrorCode::not_found, "{} is on a machine of its own: ask it there", name);
}

net::Task<Result<void>> pass_on(ServerContext& context, net::Exchange& exchange,
                                std::string asking) {
  const std::string name(exchange.param("worker"));
  const std::string key(exchange.param("key"));
  auto found = co_await net::offload(context.files_pool,
                                     [&context, name, key, asking]() -> Result<model::Worker> {
                                       BERTH_CHECK(check_need(context, asking, key));
                                       return find_own(context, name);
                                     });
  BERTH_CO_TRY(const auto worker, std::move(found));
  BERTH_CO_TRY(auto endpoint, net::parse_endpoint(worker.address));
  const std::string index(exchange.param("index"));
  net::ClientRequest request;
  request.target = fmt::format("/worker/v1/shared/{}{}{}", net::percent_encode(key),
                               index.empty() ? "" : "/", net::percent_encode(index));
  if (const auto range = exchange.request().headers.get("range")) {
    request.headers.set("range", *range);
  }
  request.tls = context.caller.peer_of(worker.name);
  auto& client = net::Client::of(exchange.executor().context());
  auto answer = co_await client.send(std::move(endpoint), std::move(request), kDeadlines);
  if (!answer) co_return fail(std::move(answer).error().context("{} can not be asked", name));
  co_return co_await net::relay_answer(exchange, std::move(*answer), kDeadlines.idle);
}

net::Task<> share(ServerContext& context, net::Exchange& exchange) {
  auto member = co_await admit(context, RouteAccess::worker, exchange);
  if (!member) co_return;
  const auto done = co_await pass_on(context, exchange, std::move(member->worker));
  if (done || exchange.responded() || exchange.gone()) co_return;
  co_await exchange.respond(net::error_response(done.error()));
}

}  // namespace

void add_peer_routes(net::Router& router, ServerContext& context) {
  add_route(router, context, RouteAccess::worker, "GET", "/cluster/v1/peers", list_peers);
  add_route(router, context, RouteAccess::worker, "POST", "/cluster/v1/peers/check", check_peer);
  for (const char* pattern :
       {"/cluster/v1/peers/{worker}/{key}", "/cluster/v1/peers/{worker}/{key}/{index}"}) {
    router.add("GET", pattern,
               [&context](net::Exchange& exchange) { return share(context, exchange); });
  }
}

}  // namespace berth::server
