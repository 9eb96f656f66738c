#include "server/cluster_identity.h"

#include "base/files.h"
#include "base/ids.h"

#include <spdlog/spdlog.h>

namespace berth::server {
namespace {

namespace fs = std::filesystem;

constexpr mode_t kSecretMode = 0600;
constexpr Bytes kLargest = 64_KiB;

struct Place {
  fs::path certificate;
  fs::path key;
};

Place place_of(const fs::path& folder, std::string_view who) {
  return {.certificate = folder / fmt::format("{}.pem", who),
          .key = folder / fmt::format("{}.key", who)};
}

Result<cluster::Credential> read(const Place& place) {
  cluster::Credential credential;
  BERTH_TRY(credential.certificate, read_file(place.certificate, kLargest));
  BERTH_TRY(credential.key, read_file(place.key, kLargest));
  return credential;
}

// The key first: a certificate that is there has its key.
Result<void> write(const Place& place, const cluster::Credential& credential) {
  BERTH_CHECK(write_file_atomic(place.key, credential.key, kSecretMode));
  return write_file_atomic(place.certificate, credential.certificate, kSecretMode);
}

}  // namespace

bool is_renewal_due(const cluster::CertificateFacts& facts, SystemTime now) {
  const auto whole = facts.ends - facts.begins - cluster::kBackdated;
  return now >= facts.ends - whole / 3 || now < facts.begins;
}

Result<std::unique_ptr<ClusterIdentity>> ClusterIdentity::open(const DataFolder& data,
                                                               const Clock& clock) {
  std::unique_ptr<ClusterIdentity> identity(new ClusterIdentity(data, clock));
  BERTH_CHECK(create_private_folder(identity->folder_));
  auto read = identity->read_authority();
  if (!read) {
    return fail(std::move(read).error().context(
        "the cluster's authority in {} can not be used; bring the folder back from a backup, or "
        "remove it and join all workers anew",
        identity->folder_.string()));
  }
  BERTH_CHECK(identity->renew_if_due());
  return identity;
}

// The certificate names the cluster, and is written last: without it nothing was ever signed.
Result<void> ClusterIdentity::read_authority() {
  const Place place = place_of(folder_, "ca");
  const fs::path name = folder_ / "name";
  if (std::error_code error; !fs::exists(place.certificate, error)) {
    if (error) return fail(ErrorCode::io, "{}: {}", place.certificate.string(), error.message());
    const std::string cluster = random_id(12);
    BERTH_TRY(const auto made, cluster::make_authority(cluster, clock_.system_now()));
    BERTH_CHECK(write_file_atomic(name, cluster + "\n", kSecretMode));
    BERTH_CHECK(write(place, made));
  }
  BERTH_TRY(authority_, read(place));
  BERTH_TRY(cluster_, read_word(name));
  if (cluster_.empty()) return fail(ErrorCode::corrupt, "{} is empty", name.string());
  BERTH_TRY(fingerprint_, net::fingerprint_of(authority_.certificate));
  BERTH_TRY(const auto facts, cluster::read_certificate(authority_.certificate));
  authority_ends_ = facts.ends;
  return {};
}

Result<cluster::Credential> ClusterIdentity::make_server() const {
  cluster::Credential server;
  BERTH_TRY(server.key, cluster::make_key());
  BERTH_TRY(const auto request, cluster::make_request(server.key));
  BERTH_TRY(auto made, cluster::sign(authority_, request, cluster::server_name(cluster_),
                                     clock_.system_now()));
  server.certificate = std::move(made.certificate);
  return server;
}

Result<void> ClusterIdentity::use(const cluster::Credential& server,
                                  const cluster::CertificateFacts& facts) {
  BERTH_TRY(auto tls, cluster::member_tls(server, authority_.certificate));
  std::atomic_store(&tls_, std::move(tls));
  server_ends_ = facts.ends;
  return {};
}

Result<void> ClusterIdentity::renew_if_due() {
  const Place place = place_of(folder_, "server");
  if (auto server = read(place)) {
    const auto facts = cluster::read_certificate(server->certificate);
    const bool ours = facts && facts->name == cluster::server_name(cluster_) &&
                      server->certificate.ends_with(authority_.certificate);
    if (ours && !is_renewal_due(*facts, clock_.system_now()) && use(*server, *facts)) return {};
    spdlog::info("the server's certificate is renewed");
  }
  BERTH_TRY(const auto server, make_server());
  BERTH_CHECK(write(place, server));
  BERTH_TRY(const auto facts, cluster::read_certificate(server.certificate));
  return use(server, facts);
}

net::TlsPeer ClusterIdentity::peer_of(const std::string& worker) const {
  return {.tls = tls(), .name = cluster::worker_name(cluster_, worker)};
}

}  // namespace berth::server
