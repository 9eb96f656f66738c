#include "cluster/token.h"

#include <algorithm>
#include <cctype>

namespace berth::cluster {
namespace {

constexpr std::size_t kFingerprintSize = 64;
constexpr std::size_t kShortestSecret = 32;
constexpr std::size_t kLongestSecret = 128;

bool is_fingerprint(std::string_view text) {
  return text.size() == kFingerprintSize && std::ranges::all_of(text, [](unsigned char c) {
           return std::isdigit(c) != 0 || (c >= 'a' && c <= 'f');
         });
}

bool is_secret(std::string_view text) {
  return text.size() >= kShortestSecret && text.size() <= kLongestSecret &&
         std::ranges::all_of(
             text, [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '-'; });
}

}  // namespace

std::string to_text(const JoinToken& token) { return token.fingerprint + "." + token.secret; }

Result<JoinToken> parse_token(std::string_view text) {
  const std::size_t dot = text.find('.');
  if (dot != std::string_view::npos) {
    JoinToken token{.fingerprint = std::string(text.substr(0, dot)),
                    .secret = std::string(text.substr(dot + 1))};
    if (is_fingerprint(token.fingerprint) && is_secret(token.secret)) return token;
  }
  return fail(make_error(ErrorCode::invalid_parameter,
                         "this is no join token, or not the whole of one; `berth token create` on "
                         "the server makes one")
                  .with_field("token"));
}

}  // namespace berth::cluster
