#include "worker/file_service.h"

#include "formats/profile.h"
#include "net/wake_up.h"
#include "worker/listener.h"

#include <filesystem>
#include <memory>
#include <optional>

namespace berth::worker {
namespace {

constexpr std::size_t kLongestPath = 4096;

using Profile = Result<model::ModelProfile>;

// The reading thread may be late, or never come back: it shares what it writes to.
struct Reading {
  std::optional<Profile> result;
};

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

Profile profile_safely(const std::filesystem::path& path) {
  try {
    return formats::profile_path(path);
  } catch (const std::exception& thrown) {
    return fail(ErrorCode::internal, "reading {}: {}", path.string(), thrown.what());
  }
}

net::Task<Profile> read_profile(FileService& service, std::filesystem::path path) {
  const auto executor = co_await boost::asio::this_coro::executor;
  const auto done = std::make_shared<net::WakeUp>(executor);
  const auto reading = std::make_shared<Reading>();
  const bool taken = service.pool.try_post([done, reading, path] {
    reading->result = profile_safely(path);
    done->wake_from_anywhere();
  });
  if (!taken) {
    co_return fail(ErrorCode::resource_exhausted,
                   "too many models are being read at this time; try again in a moment");
  }
  const bool in_time = co_await done->wait(service.patience);
  if (!in_time) {
    co_return fail(ErrorCode::timeout, "reading {} did not end in {} ms; does its disk answer?",
                   path.string(), service.patience.count());
  }
  co_return std::move(*reading->result);
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
  auto profile = co_await read_profile(service, std::move(*path));
  co_await exchange.respond(profile ? net::json_response(200, to_json(*profile))
                                    : net::error_response(profile.error()));
}

}  // namespace

void add_file_routes(net::Router& router, FileService& service) {
  router.add("GET", "/worker/v1/profile",
             [&service](net::Exchange& exchange) { return serve_profile(service, exchange); });
}

}  // namespace berth::worker
