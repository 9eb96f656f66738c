#include "server/worker_questions.h"

#include <utility>

namespace berth::server {
namespace {

// Above the worker's own deadline, so that its words arrive.
constexpr net::ClientDeadlines kDeadlines{.connect = std::chrono::seconds(3),
                                          .head = std::chrono::seconds(25),
                                          .idle = std::chrono::seconds(10)};
constexpr Bytes kLargestAnswer = 32_MiB;

}  // namespace

Result<net::Response> WorkerCaller::ask(const model::Worker& worker, std::string target,
                                        const std::optional<json::value>& body,
                                        const std::stop_token& stop) const {
  BERTH_TRY(auto endpoint, net::parse_endpoint(worker.address));
  net::ClientRequest request;
  request.target = std::move(target);
  request.tls = peer_of_(worker.name);
  if (body) {
    request.method = "POST";
    request.headers.set("content-type", "application/json");
    request.body = to_text(*body);
  }
  auto answer = net::fetch_blocking(std::move(endpoint), std::move(request), kDeadlines,
                                    kLargestAnswer, stop);
  // The proxy is there, the agent behind it is not.
  if (answer && answer->headers.contains(cluster::kUnreachedHeader)) {
    return fail(net::error_from_response(answer->status, answer->body));
  }
  return answer;
}

Result<cluster::CachedFiles> WorkerCaller::ask_for_files(const model::Worker& worker) const {
  BERTH_TRY(const auto response, ask(worker, "/worker/v1/files"));
  return read_answer<cluster::CachedFiles>(response);
}

Result<cluster::Freed> WorkerCaller::ask_to_remove(const model::Worker& worker,
                                                   const model::RepositoryFiles& files) const {
  BERTH_TRY(const auto response, ask(worker, "/worker/v1/files/remove", to_json(files)));
  return read_answer<cluster::Freed>(response);
}

}  // namespace berth::server
