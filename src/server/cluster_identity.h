// ClusterIdentity: who this cluster and its server are: the certificate authority and the server's
// own certificate, kept in the data folder.
#pragma once

#include "base/clock.h"
#include "base/data_folder.h"
#include "base/result.h"
#include "cluster/certificates.h"
#include "net/tls.h"

#include <atomic>
#include <memory>
#include <string>

namespace berth::server {

// Thread-safe.
class ClusterIdentity {
 public:
  // Reads what is in the folder; makes what is missing. Blocks. Fails with corrupt or io, naming
  // the file: an authority that can not be read is never replaced, since no worker would know the
  // cluster again.
  static Result<std::unique_ptr<ClusterIdentity>> open(const DataFolder& data, const Clock& clock);

  [[nodiscard]] const std::string& cluster() const { return cluster_; }
  [[nodiscard]] const cluster::Credential& authority() const { return authority_; }
  // Of the authority's certificate: hex SHA-256.
  [[nodiscard]] const std::string& fingerprint() const { return fingerprint_; }

  // The server, with the certificate of this moment.
  [[nodiscard]] std::shared_ptr<const net::Tls> tls() const { return std::atomic_load(&tls_); }
  // How the server speaks to a worker.
  [[nodiscard]] net::TlsPeer peer_of(const std::string& worker) const;

  // A new certificate for the server where two thirds of the old one's time are over. Blocks.
  Result<void> renew_if_due();
  // When the authority's certificate ends, and the server's own.
  [[nodiscard]] SystemTime authority_ends() const { return authority_ends_; }
  [[nodiscard]] SystemTime server_ends() const { return server_ends_.load(); }

 private:
  ClusterIdentity(const DataFolder& data, const Clock& clock)
      : folder_(data.cluster()), clock_(clock) {}
  Result<void> read_authority();
  Result<void> use(const cluster::Credential& server, const cluster::CertificateFacts& facts);
  Result<cluster::Credential> make_server() const;

  std::filesystem::path folder_;
  const Clock& clock_;
  std::string cluster_;
  cluster::Credential authority_;
  std::string fingerprint_;
  SystemTime authority_ends_;
  std::atomic<SystemTime> server_ends_ = SystemTime();
  std::shared_ptr<const net::Tls> tls_;  // replaced as a whole, through std::atomic_load and _store
};

// Whether so little of a certificate's time is left that it should be renewed.
bool is_renewal_due(const cluster::CertificateFacts& facts, SystemTime now);

}  // namespace berth::server
