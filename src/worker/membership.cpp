#include "worker/membership.h"

#include "base/files.h"
#include "base/ids.h"
#include "base/json.h"
#include "cluster/certificates.h"
#include "cluster/token.h"
#include "net/client.h"

#include <spdlog/spdlog.h>

namespace berth::worker {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kSecretMode = 0600;
constexpr Bytes kLargest = 64_KiB;
// Together within ten seconds.
constexpr net::ClientDeadlines kDeadlines{.connect = std::chrono::seconds(5),
                                          .head = std::chrono::seconds(4),
                                          .idle = std::chrono::seconds(4)};

struct MemberFile {
  std::string cluster;
  std::string worker;
  std::string server;
  std::string joined_by;  // SHA-256 of the token
};
BOOST_DESCRIBE_STRUCT(MemberFile, (), (cluster, worker, server, joined_by))

fs::path file_of(const MembershipOptions& options, std::string_view name) {
  return options.data.membership() / name;
}

Error about(std::string_view field, Error error) {
  return std::move(error).with_field(std::string(field));
}

// "https://host:8443", "host:8443" or "host".
Result<net::Endpoint> parse_server(const std::string& text) {
  if (text.find("://") == std::string::npos) {
    auto endpoint = net::parse_endpoint(text, cluster::kServerPort);
    if (!endpoint) return fail(about("server", std::move(endpoint).error()));
    return endpoint;
  }
  auto url = net::parse_url(text);
  if (!url) return fail(about("server", std::move(url).error()));
  if (url->scheme != "https") {
    return fail(about("server",
                      make_error(ErrorCode::invalid_parameter,
                                 "workers join by https, not by {} (got {})", url->scheme, text)));
  }
  return url->endpoint;
}

// Says which part of the way to the server failed, and what to look at.
Error explain(const net::Endpoint& server, Error error) {
  const std::string at = net::to_string(server);
  switch (error.code) {
    case ErrorCode::timeout:
      return std::move(error).context(
          "the server at {} does not answer; is there a route to it, and does a firewall let its "
          "port through?",
          at);
    case ErrorCode::unauthenticated:
      if (error.field == "token") return std::move(error).context("the server refuses the token");
      return std::move(error).context(
          "what answers at {} is not the server of this token (its authority has another "
          "fingerprint)",
          at);
    case ErrorCode::unavailable:
      return std::move(error).context(
          "the server can not be reached at {}; is the name or address right, and was its port "
          "opened (berth token create does it)?",
          at);
    default:
      return std::move(error).context("the server at {} does not let this machine join", at);
  }
}

}  // namespace

Membership::Membership(MembershipOptions options) : options_(std::move(options)) {}

Result<std::unique_ptr<Membership>> Membership::open(MembershipOptions options) {
  std::unique_ptr<Membership> membership(new Membership(std::move(options)));
  BERTH_CHECK(create_private_folder(membership->options_.data.membership()));
  BERTH_CHECK(membership->take_up());
  return membership;
}

Result<void> Membership::take_up() {
  const fs::path key = file_of(options_, "key.pem");
  auto own = read_file(key, kLargest);
  if (!own && own.error().code != ErrorCode::not_found) return fail(std::move(own).error());
  if (own) {
    key_ = *std::move(own);
  } else {
    BERTH_TRY(key_, cluster::make_key());
    BERTH_CHECK(write_file_atomic(key, key_, kSecretMode));
  }
  std::string token = options_.token;
  if (options_.local) {
    BERTH_TRY(token, local_token());
  }
  if (const auto text = read_file(file_of(options_, "member.json"), kLargest)) {
    BERTH_TRY(const auto value, parse_json(*text));
    BERTH_TRY(const auto file, from_json<MemberFile>(value, UnknownMembers::ignore));
    cluster::Membership held{.cluster = file.cluster, .worker = file.worker};
    BERTH_TRY(held.certificate, read_file(file_of(options_, "certificate.pem"), kLargest));
    BERTH_TRY(held.authority, read_file(file_of(options_, "authority.pem"), kLargest));
    BERTH_TRY(const auto fingerprint, net::fingerprint_of(held.authority));
    const auto given = cluster::parse_token(token);
    const bool other = given && given->fingerprint != fingerprint;
    if (other && !options_.local) {
      return fail(about("token",
                        make_error(ErrorCode::conflict,
                                   "this machine is the worker {} of another cluster; give the new "
                                   "one another folder with --data, or remove {} to leave the old "
                                   "one",
                                   file.worker, options_.data.membership().string())));
    }
    if (!other && file.worker == options_.name) {
      server_ = options_.server.empty() ? file.server : options_.server;
      joined_by_ = file.joined_by;
      return put(held);
    }
  }
  if (token.empty()) {
    return fail(about("token", make_error(ErrorCode::invalid_parameter,
                                          "this machine belongs to no cluster yet; paste the line "
                                          "that `berth token create` prints on the server")));
  }
  return join(token);
}

Result<std::string> Membership::local_token() const {
  auto token = read_word(options_.data.local_token());
  if (!token && token.error().code == ErrorCode::not_found) {
    return fail(ErrorCode::unavailable, "no server runs on {}", options_.data.root.string());
  }
  return token;
}

Result<net::Endpoint> Membership::endpoint() const {
  if (!options_.local) {
    const std::scoped_lock lock(mutex_);
    return parse_server(server_.empty() ? options_.server : server_);
  }
  const auto text = read_file(options_.data.server_info(), 64_KiB);
  if (!text) {
    return fail(ErrorCode::unavailable, "no server runs on {}", options_.data.root.string());
  }
  BERTH_TRY(const auto value, parse_json(*text));
  const auto* url = value.is_object() ? value.get_object().if_contains("cluster_url") : nullptr;
  if (url == nullptr || !url->is_string()) {
    return fail(ErrorCode::corrupt, "{} is damaged", options_.data.server_info().string());
  }
  return parse_server(std::string(url->get_string()));
}

Result<void> Membership::join(const std::string& token_text) {
  BERTH_TRY(const auto token, cluster::parse_token(token_text));
  if (!options_.local && options_.server.empty() && server_.empty()) {
    return fail(about("server", make_error(ErrorCode::invalid_parameter,
                                           "name the server with --server https://HOST:{}",
                                           cluster::kServerPort)));
  }
  BERTH_TRY(const auto server, endpoint());
  BERTH_TRY(const auto request, cluster::make_request(key_));
  BERTH_TRY(const auto tls, net::Tls::make({.certificate = "",
                                            .key = "",
                                            .authority = "",
                                            .fingerprint = token.fingerprint,
                                            .check_time = false}));
  net::ClientRequest ask{.method = "POST", .target = "/cluster/v1/join"};
  ask.headers.set("authorization", "Bearer " + token.secret);
  ask.headers.set("content-type", "application/json");
  ask.body = to_text(to_json(cluster::JoinRequest{
      .worker = options_.name, .version = options_.version, .request = request}));
  ask.tls = {.tls = tls, .name = ""};
  auto answer = net::fetch_blocking(server, std::move(ask), kDeadlines);
  if (!answer) return fail(explain(server, std::move(answer).error()));
  if (answer->status >= 300) {
    return fail(explain(server, net::error_from_response(answer->status, answer->body)));
  }
  BERTH_TRY(const auto body, parse_json(answer->body));
  BERTH_TRY(const auto given, from_json<cluster::Membership>(body, UnknownMembers::ignore));
  BERTH_TRY(const auto fingerprint, net::fingerprint_of(given.authority));
  if (fingerprint != token.fingerprint) {
    return fail(ErrorCode::unauthenticated, "the server shows another authority than the token's");
  }
  if (server_.empty()) server_ = options_.server;
  joined_by_ = sha256_hex(token_text);
  BERTH_CHECK(renew(given));
  spdlog::info("joined the cluster {} as {}", given.cluster, given.worker);
  return {};
}

// The file that names the rest is written last.
Result<void> Membership::renew(const cluster::Membership& given) {
  BERTH_CHECK(put(given));
  BERTH_CHECK(write_file_atomic(file_of(options_, "authority.pem"), given.authority, kSecretMode));
  BERTH_CHECK(
      write_file_atomic(file_of(options_, "certificate.pem"), given.certificate, kSecretMode));
  const MemberFile file{
      .cluster = given.cluster, .worker = given.worker, .server = server_, .joined_by = joined_by_};
  return write_file_atomic(file_of(options_, "member.json"), to_pretty_text(to_json(file)) + "\n",
                           kSecretMode);
}

Result<void> Membership::put(const cluster::Membership& given) {
  BERTH_TRY(auto tls,
            cluster::member_tls({.certificate = given.certificate, .key = key_}, given.authority));
  const std::scoped_lock lock(mutex_);
  cluster_ = given.cluster;
  certificate_ = given.certificate;
  authority_ = given.authority;
  tls_ = std::move(tls);
  return {};
}

Result<Membership::Server> Membership::server() const {
  BERTH_TRY(auto at, endpoint());
  const std::scoped_lock lock(mutex_);
  return Server{.endpoint = std::move(at),
                .peer = {.tls = tls_, .name = cluster::server_name(cluster_)}};
}

net::TlsPeer Membership::peer_of(const std::string& worker) const {
  const std::scoped_lock lock(mutex_);
  return {.tls = tls_, .name = cluster::worker_name(cluster_, worker)};
}

Credentials Membership::credentials() const {
  const std::scoped_lock lock(mutex_);
  return {.certificate = certificate_,
          .key = key_,
          .authority = authority_,
          .server_name = cluster::server_name(cluster_)};
}

bool Membership::can_rejoin() const {
  if (options_.local) return true;
  return !options_.token.empty() && sha256_hex(options_.token) != joined_by_;
}

Result<void> Membership::rejoin() {
  std::string token = options_.token;
  if (options_.local) {
    BERTH_TRY(token, local_token());
  }
  return join(token);
}

Result<std::string> Membership::request() const { return cluster::make_request(key_); }

}  // namespace berth::worker
