// Memberships: which machines may join the cluster as workers, and which have.
#pragma once

#include "base/describe.h"
#include "cluster/protocol.h"
#include "cluster/token.h"
#include "net/http.h"
#include "server/cluster_identity.h"
#include "store/store.h"

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace berth::server {

inline constexpr std::string_view kJoinTokenKind = "join_token";
inline constexpr std::string_view kCertificateKind = "certificate";

// A document of kind "join_token". The token itself is shown once, when it is made.
struct JoinTokenRecord {
  std::string id;
  std::string hash;    // SHA-256 of its secret
  bool local = false;  // for the worker that the server starts on its own machine
  std::string created_at;
  std::string expires_at;
};
BOOST_DESCRIBE_STRUCT(JoinTokenRecord, (), (id, hash, local, created_at, expires_at))
inline constexpr FieldInfo kJoinTokenFields[] = {{.name = "hash", .secret = true}};
constexpr std::span<const FieldInfo> field_table(const JoinTokenRecord*) {
  return kJoinTokenFields;
}

// A document of kind "certificate", named by its serial: one that the authority has signed. Removed
// when it is revoked.
struct CertificateRecord {
  std::string serial;
  std::string worker;
  std::string key_digest;  // of its public key: hex SHA-256
  bool local = false;
  std::string issued_at;
  std::string expires_at;
};
BOOST_DESCRIBE_STRUCT(CertificateRecord, (),
                      (serial, worker, key_digest, local, issued_at, expires_at))

// Who a request of a worker comes from.
struct Member {
  std::string worker;
  bool local = false;
  std::int64_t renew_after = 0;  // seconds from now
};

// Thread-safe. What changes anything blocks.
class Memberships {
 public:
  // `identity` and the rest outlive it.
  Memberships(store::Store& store, const ClusterIdentity& identity, const Clock& clock);

  // Reads the certificates from the store; at start.
  Result<void> load();

  struct NewToken {
    JoinTokenRecord record;
    std::string text;  // to paste
  };
  // A token is good for any number of machines until it ends.
  Result<NewToken> create_token(Duration lifetime, bool local = false);
  Result<std::vector<JoinTokenRecord>> tokens() const;
  // Fails with not_found.
  Result<void> remove_token(const std::string& id);

  // A new member, by the secret of a token. Its name stays with its key: unauthenticated where the
  // token is unknown or has ended, conflict (field "worker") where another machine has the name,
  // invalid_parameter for a bad name or request.
  Result<cluster::Membership> join(std::string_view secret, const cluster::JoinRequest& request);
  // A new certificate for the same worker.
  Result<cluster::Membership> renew(const Member& member, const std::string& request);
  // Takes back all certificates of a worker; its name is free then.
  Result<void> revoke(const std::string& worker);

  // The worker whose certificate the request shows. Answers from memory. Fails with
  // unauthenticated.
  [[nodiscard]] Result<Member> authenticate(const net::Request& request) const;
  // The worker whose certificate somebody else was shown.
  [[nodiscard]] Result<Member> authenticate(const net::PeerCertificate& certificate) const;

  // When the newest certificate of each worker ends.
  [[nodiscard]] std::map<std::string, SystemTime> ends() const;
  // Whether a worker of another machine has joined, or may join now.
  [[nodiscard]] Result<bool> has_remote() const;

 private:
  struct Known {
    std::string worker;
    std::string key_digest;
    bool local = false;
    SystemTime issued;
    SystemTime ends;
  };
  using Certificates = std::map<std::string, Known, std::less<>>;  // by serial

  Result<JoinTokenRecord> find_token(std::string_view secret) const;
  [[nodiscard]] Result<void> check_name(const std::string& worker, const std::string& key_digest,
                                        bool local) const;
  Result<cluster::Membership> issue(const std::string& worker, const std::string& request,
                                    bool local);
  Result<void> drop(const std::vector<std::string>& serials);
  // The time of day when this began, and what has passed since: a clock that is set while the
  // server runs ends no certificate.
  [[nodiscard]] SystemTime now() const;

  store::Store& store_;
  const ClusterIdentity& identity_;
  const Clock& clock_;
  SystemTime began_;
  SteadyTime steady_began_;
  mutable std::mutex mutex_;
  Certificates certificates_;
};

}  // namespace berth::server
