#include "api_client.h"

#include "net/task.h"

namespace berth::app {
namespace {

constexpr std::chrono::seconds kUsualPatience{60};
// An engine on a slow machine may read a long prompt for that long.
constexpr std::chrono::minutes kStreamPatience{30};
constexpr std::chrono::hours kStreamIdle{24};
constexpr std::chrono::milliseconds kInterruptLook{50};
constexpr std::size_t kErrorBody = 64 << 10;

struct Stream {
  net::Endpoint server;
  net::ClientRequest request;
  std::function<bool(std::string_view)> on_data;
};

net::Task<Result<void>> read_stream(net::IoContext& context, Stream stream) {
  net::Client client(context);
  const net::ClientDeadlines deadlines{.head = kStreamPatience};
  auto sent = co_await client.send(stream.server, std::move(stream.request), deadlines);
  BERTH_CO_TRY(net::ClientResponse answer, std::move(sent));
  if (answer.status() >= 300) {
    auto body = co_await answer.read_all(Bytes{kErrorBody}, kUsualPatience);
    co_return fail(net::error_from_response(answer.status(), body.value_or("")));
  }
  for (;;) {
    auto read = co_await answer.read_some(kStreamIdle);
    BERTH_CO_TRY(const auto piece, std::move(read));
    if (!piece || !stream.on_data(*piece)) co_return Result<void>{};
  }
}

net::Task<> wait_for(const std::atomic<bool>* flag) {
  while (!flag->load()) co_await net::sleep_for(kInterruptLook);
}

}  // namespace

Result<ApiClient> ApiClient::connect(const CommonOptions& common) {
  BERTH_TRY(auto settings, find_client_settings(common));
  return ApiClient(std::move(settings));
}

net::ClientRequest ApiClient::make_request(std::string method, std::string target,
                                           std::string body) const {
  net::ClientRequest request;
  request.method = std::move(method);
  request.target = std::move(target);
  request.headers.set("authorization", "Bearer " + settings_.api_key);
  if (!body.empty()) request.headers.set("content-type", "application/json");
  request.body = std::move(body);
  return request;
}

Error ApiClient::explain(Error error) const {
  if (error.code == ErrorCode::unauthenticated) {
    return std::move(error).context("{} does not accept the key from {}", settings_.url,
                                    settings_.key_source);
  }
  return error;
}

Result<json::value> ApiClient::call(std::string method, std::string target, std::string body,
                                    Duration patience, const net::Headers& headers) const {
  auto request = make_request(std::move(method), std::move(target), std::move(body));
  for (const auto& [name, value] : headers) request.headers.set(name, value);
  auto response = net::fetch_blocking(settings_.server, std::move(request),
                                      {.head = patience, .idle = patience});
  if (!response) {
    return fail(
        std::move(response).error().context("the server at {} can not be reached", settings_.url));
  }
  if (response->status >= 300) {
    return fail(explain(net::error_from_response(response->status, response->body)));
  }
  auto value = parse_json(response->body);
  if (value) return value;
  return fail(ErrorCode::corrupt, "{} does not answer as a Berth server: {}", settings_.url,
              value.error().message);
}

Result<json::value> ApiClient::get(std::string target) const {
  return call("GET", std::move(target), "", kUsualPatience);
}

Result<json::value> ApiClient::post(std::string target, const json::value& body,
                                    Duration patience) const {
  return call("POST", std::move(target), to_text(body), patience);
}

Result<json::value> ApiClient::patch(std::string target, const json::value& body) const {
  return call("PATCH", std::move(target), to_text(body), kUsualPatience);
}

Result<json::value> ApiClient::put(std::string target, const json::value& body,
                                   net::Headers headers, Duration patience) const {
  return call("PUT", std::move(target), to_text(body), patience, headers);
}

Result<json::value> ApiClient::del(std::string target) const {
  return call("DELETE", std::move(target), "", kUsualPatience);
}

Result<void> ApiClient::stream(std::string target, std::string body,
                               std::function<bool(std::string_view)> on_data,
                               const std::atomic<bool>* interrupted) const {
  std::string method = body.empty() ? "GET" : "POST";
  Stream stream{.server = settings_.server,
                .request = make_request(std::move(method), std::move(target), std::move(body)),
                .on_data = std::move(on_data)};
  auto result = net::run_blocking([&](net::IoContext& context) {
    auto work = read_stream(context, std::move(stream));
    if (interrupted == nullptr) return work;
    return net::unless(std::move(work), wait_for(interrupted),
                       make_error(ErrorCode::cancelled, "stopped"));
  });
  if (!result) return fail(explain(std::move(result).error()));
  return {};
}

std::string model_target(std::string_view name) {
  return "/api/v1/models/" + net::percent_encode(name);
}

Result<json::array> items_of(const json::value& answer) {
  const auto* object = answer.if_object();
  const auto* items = object == nullptr ? nullptr : object->if_contains("items");
  if (items == nullptr || !items->is_array()) {
    return fail(ErrorCode::corrupt, "the server's answer has no items");
  }
  return items->get_array();
}

}  // namespace berth::app
