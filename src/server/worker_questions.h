// Questions that the server asks a worker's own listener. They block for as long as the worker may
// take.
#pragma once

#include "cluster/protocol.h"
#include "model/worker.h"
#include "net/client.h"

#include <optional>
#include <stop_token>
#include <string>

namespace berth::server {

// The worker's answer, whatever its status: a GET, or a POST of a body. Fails where it gives none,
// with unavailable or timeout, or with cancelled once `stop` is requested.
Result<net::Response> ask_worker(const model::Worker& worker, std::string target,
                                 const std::optional<json::value>& body = std::nullopt,
                                 const std::stop_token& stop = {});

// Fails with what the worker said.
template <class T>
Result<T> read_answer(const net::Response& response) {
  if (response.status >= 300) {
    return fail(net::error_from_response(response.status, response.body));
  }
  BERTH_TRY(const auto body, parse_json(response.body));
  return from_json<T>(body, UnknownMembers::ignore);
}

// What lies in the worker's caches.
Result<cluster::CachedFiles> ask_for_files(const model::Worker& worker);
// Fails with conflict while somebody needs them there.
Result<cluster::Freed> ask_to_remove(const model::Worker& worker,
                                     const model::RepositoryFiles& files);

}  // namespace berth::server
