// ServerLink: the worker's side of the cluster protocol (cluster/protocol.h).
#pragma once

#include "cluster/protocol.h"
#include "model/instance.h"
#include "net/client.h"
#include "worker/membership.h"
#include "worker/short_reports.h"

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace berth::worker {

// Everything that this worker should do, as of `revision`.
struct Duties {
  std::vector<model::Assignment> assignments;
  std::vector<model::PackRequest> pack_requests;
  std::vector<model::FileRequest> file_requests;
  std::uint64_t revision = 0;
};

// One change of the duties, as the watch tells it.
struct DutyChange {
  std::uint64_t revision = 0;
  bool removed = false;
  std::optional<model::Assignment> assignment;  // the one that was put or removed
  std::optional<model::PackRequest> pack_request;
  std::optional<model::FileRequest> file_request;
};

// Used on one io_context. All calls fail with unavailable or timeout where the server is away, with
// unauthenticated where it knows this worker's certificate no more.
class ServerLink {
 public:
  // `membership` outlives it.
  ServerLink(net::IoContext& context, const Membership& membership);

  net::Task<Result<cluster::Registered>> enlist(model::Worker worker);
  net::Task<Result<cluster::Membership>> renew(cluster::RenewRequest request);
  net::Task<Result<Duties>> duties();
  // Calls `on_change` for each change after `since`, in order, until the stream ends (an error).
  // A change without assignment and request only moves the revision on.
  net::Task<Result<void>> watch(std::uint64_t since, std::function<void(DutyChange)> on_change);
  // Whether another worker may read files here. Fails with permission_denied where it may not.
  net::Task<Result<void>> check(cluster::PeerWish wish);
  // Leaves out the packs where the server has them already.
  net::Task<Result<void>> report(cluster::WorkerReport report);

 private:
  net::Task<Result<json::value>> ask(std::string method, std::string target, std::string body,
                                     net::ClientDeadlines deadlines);

  net::Client client_;
  const Membership& membership_;
  ShortReports short_reports_;
};

}  // namespace berth::worker
