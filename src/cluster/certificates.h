// The certificates of a cluster (X.509, RFC 5280; keys on the curve P-256): its authority, requests
// of members, and what the authority signs. Texts are PEM. Pure but for random numbers;
// thread-safe.
//
// Each certificate names its owner by a URI in subjectAltName, never by host names or addresses,
// which may change:
//   berth://CLUSTER/server          berth://CLUSTER/worker/NAME
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "net/tls.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace berth::cluster {

using Days = std::chrono::days;
inline constexpr Days kAuthorityLifetime{3653};  // ten years
inline constexpr Days kMemberLifetime{90};
// Certificates begin so much before they are signed, for clocks that are late.
inline constexpr std::chrono::hours kBackdated{48};

std::string server_name(std::string_view cluster);
std::string worker_name(std::string_view cluster, std::string_view worker);
// The worker that such a name says; nullopt where it is no worker's of this cluster.
std::optional<std::string> worker_of_name(std::string_view name, std::string_view cluster);

// A certificate and its key.
struct Credential {
  std::string certificate;  // followed by the authority's, but for the authority itself
  std::string key;          // PKCS #8, unencrypted
};

Result<std::string> make_key();
Result<Credential> make_authority(std::string_view cluster, SystemTime now);
// A request for a certificate (PKCS #10), which proves that its sender has `key`.
Result<std::string> make_request(const std::string& key);
// The hex SHA-256 of the public key that a request is for. Fails with invalid_parameter where the
// text is no request, or was not signed by its key.
Result<std::string> key_digest_of_request(const std::string& request);

struct Signed {
  std::string certificate;  // followed by the authority's
  std::string serial;       // lower-case hex
  SystemTime ends;
};
// Fails with invalid_parameter as key_digest_of_request, or where the key is of another kind.
Result<Signed> sign(const Credential& authority, const std::string& request, std::string_view name,
                    SystemTime now);

// A member that shows `own` and trusts `authority` (PEM). Whether a certificate has ended is for
// the server's Memberships to say, by a clock that never jumps, and not for TLS: a machine's own
// clock may be wrong. Fails as Tls::make.
Result<std::shared_ptr<const net::Tls>> member_tls(const Credential& own,
                                                   const std::string& authority);

// What a certificate says of itself. Fails with invalid_parameter.
struct CertificateFacts {
  std::string name;  // empty: an authority's
  std::string serial;
  SystemTime begins;
  SystemTime ends;
};
Result<CertificateFacts> read_certificate(const std::string& pem);

}  // namespace berth::cluster
