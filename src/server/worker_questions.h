// WorkerCaller: questions that the server asks a worker, by the worker's proxy. They block for as
// long as the worker may take.
#pragma once

#include "cluster/protocol.h"
#include "model/worker.h"
#include "net/client.h"

#include <functional>
#include <optional>
#include <stop_token>
#include <string>

namespace berth::server {

// How the server shows a worker who it is, and knows the worker; a plain peer in tests.
using PeerOf = std::function<net::TlsPeer(const std::string& worker)>;

// Thread-safe.
class WorkerCaller {
 public:
  explicit WorkerCaller(PeerOf peer_of) : peer_of_(std::move(peer_of)) {}

  [[nodiscard]] net::TlsPeer peer_of(const std::string& worker) const { return peer_of_(worker); }

  // The worker's answer, whatever its status: a GET, or a POST of a body. Fails where it gives
  // none, with unavailable or timeout, or with cancelled once `stop` is requested.
  Result<net::Response> ask(const model::Worker& worker, std::string target,
                            const std::optional<json::value>& body = std::nullopt,
                            const std::stop_token& stop = {}) const;

  // What lies in the worker's caches.
  Result<cluster::CachedFiles> ask_for_files(const model::Worker& worker) const;
  // Fails with conflict while somebody needs them there.
  Result<cluster::Freed> ask_to_remove(const model::Worker& worker,
                                       const model::RepositoryFiles& files) const;

 private:
  PeerOf peer_of_;
};

// Fails with what the worker said.
template <class T>
Result<T> read_answer(const net::Response& response) {
  if (response.status >= 300) {
    return fail(net::error_from_response(response.status, response.body));
  }
  BERTH_TRY(const auto body, parse_json(response.body));
  return from_json<T>(body, UnknownMembers::ignore);
}

}  // namespace berth::server
