// Membership: who this worker is in its cluster, and how it reaches the server. Its key never
// leaves the machine; key and certificate are files of the data folder (0600).
#pragma once

#include "base/data_folder.h"
#include "base/result.h"
#include "cluster/protocol.h"
#include "net/tls.h"
#include "net/url.h"

#include <memory>
#include <mutex>
#include <string>

namespace berth::worker {

struct MembershipOptions {
  DataFolder data;
  bool local = true;  // of the server on this machine: server.json and join.token say where and how
  std::string server;   // else: "https://host:8443"; empty: the one of an earlier run
  std::string token;    // to join with; empty: a member already
  std::string name;     // that the worker wants
  std::string version;  // of Berth
};

// What the worker's listener needs to be known by: its certificate and key, the authority, and the
// name of the server that may come in.
struct Credentials {
  std::string certificate;
  std::string key;
  std::string authority;
  std::string server_name;

  friend bool operator==(const Credentials&, const Credentials&) = default;
};
BOOST_DESCRIBE_STRUCT(Credentials, (), (certificate, key, authority, server_name))

// Thread-safe.
class Membership {
 public:
  // Takes up an earlier run's, or joins, within 10 s. Blocks. Fails with invalid_parameter where
  // server or token are missing or wrong, unavailable or timeout where the server is not reached
  // (DNS, route, port), unauthenticated where it is not the token's (fingerprint) or refuses the
  // token, conflict where the name or the folder belongs to another.
  static Result<std::unique_ptr<Membership>> open(MembershipOptions options);

  struct Server {
    net::Endpoint endpoint;
    net::TlsPeer peer;
  };
  // Where the server is now; a local one may come back at another port. Fails with unavailable
  // where none runs.
  [[nodiscard]] Result<Server> server() const;
  // How the listener of a worker is spoken to: this one's own, or another's.
  [[nodiscard]] net::TlsPeer own_peer() const { return peer_of(options_.name); }
  [[nodiscard]] net::TlsPeer peer_of(const std::string& worker) const;

  [[nodiscard]] Credentials credentials() const;

  // Whether there is a token to join anew with: not the one of the last time, which must not bring
  // back a worker that was removed.
  [[nodiscard]] bool can_rejoin() const;
  // Joins once more with the same key, which keeps the name. Blocks. Fails as `open`.
  Result<void> rejoin();

  // For a new certificate of the same key.
  [[nodiscard]] Result<std::string> request() const;
  // Puts what the server answered in force, and writes it down. Blocks.
  Result<void> renew(const cluster::Membership& given);

 private:
  explicit Membership(MembershipOptions options);
  Result<void> take_up();
  Result<void> join(const std::string& token_text);
  Result<void> put(const cluster::Membership& given);
  [[nodiscard]] Result<std::string> local_token() const;
  [[nodiscard]] Result<net::Endpoint> endpoint() const;

  MembershipOptions options_;
  std::string key_;
  mutable std::mutex mutex_;
  std::string cluster_;
  std::string certificate_;  // empty: not a member yet
  std::string authority_;
  std::string server_;     // URL
  std::string joined_by_;  // hash of the token
  std::shared_ptr<const net::Tls> tls_;
};

}  // namespace berth::worker
