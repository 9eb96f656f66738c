#include "worker/fetching.h"

#include "worker/peer_mirrors.h"

namespace berth::worker {
namespace {

sources::HubPlace& place_of(sources::HubSettings& settings, model::Hub hub) {
  switch (hub) {
    case model::Hub::model_scope:
      return settings.model_scope;
    case model::Hub::ollama:
      return settings.ollama;
    case model::Hub::hugging_face:
      break;
  }
  return settings.hugging_face;
}

}  // namespace

sources::HubSettings merged(sources::HubSettings own,
                            const std::vector<cluster::HubAccess>& server) {
  sources::HubSettings usual;
  for (const auto& theirs : server) {
    auto& place = place_of(own, theirs.hub);
    const bool has_own = place.endpoint != place_of(usual, theirs.hub).endpoint;
    const bool is_other = !theirs.endpoint.empty() && theirs.endpoint != place.endpoint;
    if (has_own && is_other) continue;
    // A token is for the server that it was made for.
    if (is_other) place.token.clear();
    if (is_other) place.endpoint = theirs.endpoint;
    if (!place.token.empty() || theirs.token.empty()) continue;
    place.token = theirs.token;
    place.token_place = "the server's settings";
  }
  return own;
}

void HubWays::set_servers(std::vector<cluster::HubAccess> hubs) {
  const std::scoped_lock lock(mutex_);
  servers_ = std::move(hubs);
}

Result<sources::HubSettings> HubWays::settings() const {
  BERTH_TRY(auto own, sources::read_hub_settings());
  const std::scoped_lock lock(mutex_);
  if (!connections_) connections_ = own.http.connections;
  own.http.connections = connections_;
  return merged(std::move(own), servers_);
}

ModelFilesOptions fetching_options(Fetching fetching) {
  std::shared_ptr<sources::Bandwidth> bandwidth;
  if (fetching.limit) bandwidth = std::make_shared<sources::Bandwidth>(*fetching.limit);
  return {
      .fetch = [&membership = fetching.membership, &hubs = fetching.hubs, places = fetching.places,
                bandwidth](const model::RepositoryFiles& files,
                           sources::FetchOptions options) -> Result<sources::LocalFiles> {
        BERTH_TRY(const auto settings, hubs.settings());
        options.download.bandwidth = bandwidth;
        std::optional<PeerMirrors> peers;
        options.find_mirrors = [&] {
          return peers.emplace(membership, files, options.stop).mirrors();
        };
        return sources::fetch_files(files, places, settings, options);
      },
      .remove =
          [places = fetching.places](const model::RepositoryFiles& files) {
            return sources::remove_cached(files, places);
          },
      .notes = std::move(fetching.notes),
      .on_change = std::move(fetching.on_change)};
}

}  // namespace berth::worker
