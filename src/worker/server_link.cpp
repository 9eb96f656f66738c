#include "worker/server_link.h"

#include "net/sse.h"

#include <charconv>

namespace berth::worker {
namespace {

// A server to which thousands of workers come back at once has seconds of work before it.
constexpr net::ClientDeadlines kDeadlines{.connect = std::chrono::seconds(10),
                                          .head = std::chrono::seconds(10),
                                          .idle = std::chrono::seconds(10)};
constexpr net::ClientDeadlines kEnlisting{.connect = std::chrono::seconds(10),
                                          .head = std::chrono::seconds(30),
                                          .idle = std::chrono::seconds(10)};
// Reports go every few seconds: their connection is kept, since another one costs both sides a
// handshake with certificates. Below the 75 s after which the server closes it.
constexpr net::ClientOptions kKept{.idle_expiry = std::chrono::seconds(60)};
// The watch speaks at least every 15 s (a bookmark).
constexpr std::chrono::seconds kWatchSilence{40};

std::string text_of(const json::value& value, std::string_view key) {
  const auto* object = value.if_object();
  const auto* member = object == nullptr ? nullptr : object->if_contains(key);
  if (member == nullptr || !member->is_string()) return {};
  return std::string(member->get_string());
}

template <class T>
Result<std::vector<T>> read_items(const json::value& answer, std::string_view key) {
  std::vector<T> items;
  const auto* list = answer.is_object() ? answer.get_object().if_contains(key) : nullptr;
  if (list == nullptr || !list->is_array()) {
    return fail(ErrorCode::corrupt, "the server's answer has no \"{}\"", key);
  }
  for (const auto& element : list->get_array()) {
    BERTH_TRY(T item, from_json<T>(element, UnknownMembers::ignore));
    items.push_back(std::move(item));
  }
  return items;
}

std::uint64_t to_revision(std::string_view text) {
  std::uint64_t revision = 0;
  std::from_chars(text.data(), text.data() + text.size(), revision);
  return revision;
}

Result<DutyChange> read_change(const net::SseEvent& event) {
  DutyChange change{.revision = to_revision(event.id.value_or("0")),
                    .removed = event.event == "delete",
                    .assignment = std::nullopt,
                    .pack_request = std::nullopt,
                    .file_request = std::nullopt};
  if (event.event != "put" && event.event != "delete") return change;
  BERTH_TRY(const json::value data, parse_json(event.data));
  const std::string kind = text_of(data, "kind");
  const auto* object = data.get_object().if_contains("object");
  if (object == nullptr) return fail(ErrorCode::corrupt, "a change without its object");
  if (kind == model::kAssignmentKind) {
    BERTH_TRY(change.assignment, from_json<model::Assignment>(*object, UnknownMembers::ignore));
  } else if (kind == model::kPackRequestKind) {
    BERTH_TRY(change.pack_request, from_json<model::PackRequest>(*object, UnknownMembers::ignore));
  } else if (kind == model::kFileRequestKind) {
    BERTH_TRY(change.file_request, from_json<model::FileRequest>(*object, UnknownMembers::ignore));
  }
  return change;
}

}  // namespace

ServerLink::ServerLink(net::IoContext& context, const Membership& membership)
    : client_(context, kKept), membership_(membership) {}

net::Task<Result<json::value>> ServerLink::ask(std::string method, std::string target,
                                               std::string body, net::ClientDeadlines deadlines) {
  BERTH_CO_TRY(const auto server, membership_.server());
  net::ClientRequest request;
  request.method = std::move(method);
  request.target = std::move(target);
  request.tls = server.peer;
  if (!body.empty()) request.headers.set("content-type", "application/json");
  request.body = std::move(body);
  auto answer = co_await client_.fetch(server.endpoint, std::move(request), deadlines);
  if (!answer) co_return fail(std::move(answer).error());
  if (answer->status >= 300) {
    co_return fail(net::error_from_response(answer->status, answer->body));
  }
  co_return parse_json(answer->body);
}

net::Task<Result<cluster::Registered>> ServerLink::enlist(model::Worker worker) {
  std::string body = to_text(to_json(worker, Secrets::show));
  auto answer = co_await ask("POST", "/cluster/v1/register", std::move(body), kEnlisting);
  if (!answer) co_return fail(std::move(answer).error());
  auto enlisted = from_json<cluster::Registered>(*answer, UnknownMembers::ignore);
  if (!enlisted) co_return fail(std::move(enlisted).error());
  short_reports_.enlisted(worker.packs, enlisted->keeps_packs);
  co_return enlisted;
}

net::Task<Result<cluster::Membership>> ServerLink::renew(cluster::RenewRequest request) {
  auto answer = co_await ask("POST", "/cluster/v1/renew", to_text(to_json(request)), kDeadlines);
  if (!answer) co_return fail(std::move(answer).error());
  co_return from_json<cluster::Membership>(*answer, UnknownMembers::ignore);
}

net::Task<Result<Duties>> ServerLink::duties() {
  auto answer = co_await ask("GET", "/cluster/v1/assignments", "", kEnlisting);
  if (!answer) co_return fail(std::move(answer).error());
  Duties duties;
  BERTH_CO_TRY(duties.assignments, read_items<model::Assignment>(*answer, "items"));
  BERTH_CO_TRY(duties.pack_requests, read_items<model::PackRequest>(*answer, "pack_requests"));
  BERTH_CO_TRY(duties.file_requests, read_items<model::FileRequest>(*answer, "file_requests"));
  duties.revision = answer->at("revision").to_number<std::uint64_t>();
  co_return duties;
}

net::Task<Result<void>> ServerLink::watch(std::uint64_t since,
                                          std::function<void(DutyChange)> on_change) {
  BERTH_CO_TRY(const auto server, membership_.server());
  net::ClientRequest request;
  request.target = fmt::format("/cluster/v1/watch?kinds={},{},{}&since={}", model::kAssignmentKind,
                               model::kPackRequestKind, model::kFileRequestKind, since);
  request.tls = server.peer;
  auto stream = co_await client_.send(server.endpoint, std::move(request), kDeadlines);
  if (!stream) co_return fail(std::move(stream).error());
  if (stream->status() != 200) {
    auto body = co_await stream->read_all(1_MiB, kWatchSilence);
    co_return fail(net::error_from_response(stream->status(), body.value_or("")));
  }
  net::SseParser parser(16_MiB);
  for (;;) {
    const auto piece = co_await stream->read_some(kWatchSilence);
    if (!piece) co_return fail(piece.error());
    if (!*piece) co_return fail(ErrorCode::unavailable, "the server ended the watch");
    BERTH_CO_TRY(const auto events, parser.feed(**piece));
    for (const auto& event : events) {
      BERTH_CO_TRY(auto change, read_change(event));
      on_change(std::move(change));
    }
  }
}

net::Task<Result<void>> ServerLink::check(cluster::PeerWish wish) {
  auto answer = co_await ask("POST", "/cluster/v1/peers/check", to_text(to_json(wish)), kDeadlines);
  if (!answer) co_return fail(std::move(answer).error());
  co_return Result<void>{};
}

net::Task<Result<void>> ServerLink::report(cluster::WorkerReport report) {
  auto sent = short_reports_.shorten(report);
  std::string body = to_text(to_json(report, Secrets::show));
  auto answer = co_await ask("POST", "/cluster/v1/report", std::move(body), kDeadlines);
  short_reports_.answered(std::move(sent), answer.has_value());
  if (!answer) co_return fail(std::move(answer).error());
  co_return Result<void>{};
}

}  // namespace berth::worker
