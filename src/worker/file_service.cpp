#include "worker/file_service.h"

#include "sources/local_model.h"
#include "worker/in_time.h"
#include "worker/listener.h"

#include <filesystem>

namespace berth::worker {
namespace {

constexpr std::size_t kLongestPath = 4096;

using Found = Result<sources::LocalModel>;

Result<std::filesystem::path> read_path(const net::Request& request) {
  const std::string_view text = request.query.get("path").value_or("");
  if (!text.starts_with('/') || text.size() > kLongestPath ||
      text.find('\0') != std::string_view::npos) {
    return fail(make_error(ErrorCode::invalid_parameter, "path must be an absolute path (got {})",
                           text.substr(0, 100))
                    .with_field("path"));
  }
  return std::filesystem::path(text).lexically_normal();
}

net::Task<> serve_profile(FileService& service, net::Exchange& exchange) {
  if (auto allowed = check_key(exchange.request(), service.access_key); !allowed) {
    co_await exchange.respond(net::error_response(allowed.error()));
    co_return;
  }
  auto path = read_path(exchange.request());
  if (!path) {
    co_await exchange.respond(net::error_response(path.error()));
    co_return;
  }
  auto found =
      co_await answer_in_time(service.pool, service.patience, "reading " + path->string(),
                              [path = *path]() -> Found { return sources::profile_local(path); });
  if (!found && found.error().code == ErrorCode::timeout) {
    Error late = std::move(found).error();
    late.message += "; does its disk answer?";
    found = fail(std::move(late));
  }
  co_await exchange.respond(found ? net::json_response(200, to_json(*found))
                                  : net::error_response(found.error()));
}

}  // namespace

void add_file_routes(net::Router& router, FileService& service) {
  router.add("GET", "/worker/v1/profile",
             [&service](net::Exchange& exchange) { return serve_profile(service, exchange); });
}

}  // namespace berth::worker
