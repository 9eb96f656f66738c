// How this worker fetches models: from which servers, as whom, and where to.
#pragma once

#include "cluster/protocol.h"
#include "sources/connection_pool.h"
#include "sources/hub/settings.h"
#include "worker/membership.h"
#include "worker/model_files.h"

#include <memory>
#include <mutex>
#include <optional>
#include <vector>

namespace berth::worker {

// The settings of this worker's own environment, and those of its server for what it lacks.
sources::HubSettings merged(sources::HubSettings own,
                            const std::vector<cluster::HubAccess>& server);

// Thread-safe.
class HubWays {
 public:
  // What the server said when this worker joined.
  void set_servers(std::vector<cluster::HubAccess> hubs);
  // Fails as sources::read_hub_settings.
  [[nodiscard]] Result<sources::HubSettings> settings() const;

 private:
  mutable std::mutex mutex_;
  mutable std::shared_ptr<sources::ConnectionPool> connections_;  // of all that is fetched
  std::vector<cluster::HubAccess> servers_;
};

// `membership` and `hubs` outlive what is made of it.
struct Fetching {
  const Membership& membership;  // of the cluster, whose other workers are asked before the hubs
  const HubWays& hubs;
  sources::CachePlaces places;
  std::optional<Bytes> limit;  // a second, of all downloads together
  std::filesystem::path notes;
  std::function<void()> on_change;
};

ModelFilesOptions fetching_options(Fetching fetching);

}  // namespace berth::worker
