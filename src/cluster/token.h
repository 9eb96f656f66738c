// JoinToken: what a machine needs to join a cluster, as a text to paste.
#pragma once

#include "base/result.h"

#include <string>
#include <string_view>

namespace berth::cluster {

// "FINGERPRINT.SECRET". The fingerprint says which cluster answers, the secret who asks.
struct JoinToken {
  std::string fingerprint;  // hex SHA-256 of the authority's certificate (DER)
  std::string secret;       // as random_key makes it; a secret
};

std::string to_text(const JoinToken& token);
// Fails with invalid_parameter, field "token", without repeating the text.
Result<JoinToken> parse_token(std::string_view text);

}  // namespace berth::cluster
