// Tls: who a program is, and whom it trusts. TLS 1.3 only (RFC 8446).
#pragma once

#include "base/result.h"

#include <compare>
#include <memory>
#include <string>

using SSL_CTX = struct ssl_ctx_st;

namespace berth::net {

// What a verified certificate says of its owner.
struct PeerCertificate {
  std::string name;    // its first subjectAltName of the kind URI; empty: none
  std::string serial;  // lower-case hex
};

struct TlsSettings {
  std::string certificate;  // PEM: ours, then what leads to the authority; empty: we show none
  std::string key;          // PEM, of `certificate`
  std::string authority;    // PEM: a peer's certificate must come from one of these
  // Instead of `authority`, for first contact: the peer's chain must have a certificate with this
  // SHA-256 (hex, of its DER form), and its own must come from that.
  std::string fingerprint;
  // Whether a peer's certificate must be in force by our clock. Without, the clock may be wrong.
  bool check_time = true;
};

// Serves both roles: a server asks its clients for a certificate, does without, and refuses one
// that its authority has not signed; a client always verifies. Thread-safe, and never changes.
class Tls {
 public:
  // Fails with invalid_parameter: text that is no certificate or key, or two that do not belong
  // together, neither or both of `authority` and `fingerprint`.
  static Result<std::shared_ptr<const Tls>> make(const TlsSettings& settings);
  ~Tls();
  Tls(const Tls&) = delete;
  Tls& operator=(const Tls&) = delete;

  [[nodiscard]] SSL_CTX* context() const { return context_; }

 private:
  Tls() = default;
  SSL_CTX* context_ = nullptr;
  std::string fingerprint_;
};

// With whom a client speaks.
struct TlsPeer {
  std::shared_ptr<const Tls> tls;  // who we are; null: plain HTTP
  std::string name;                // what the peer's certificate must say; empty: any name

  friend auto operator<=>(const TlsPeer&, const TlsPeer&) = default;
};

// The hex SHA-256 of a certificate's DER form. Fails with invalid_parameter.
Result<std::string> fingerprint_of(const std::string& pem);

}  // namespace berth::net
