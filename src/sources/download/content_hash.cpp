#include "sources/download/content_hash.h"

#include <array>

namespace berth::sources {

Result<ContentHash> ContentHash::begin(DigestKind kind, Bytes size) {
  const EVP_MD* digest = kind == DigestKind::git_blob ? EVP_sha1() : EVP_sha256();
  ContentHash hash(Context(EVP_MD_CTX_new(), &EVP_MD_CTX_free));
  if (!hash.context_ || EVP_DigestInit_ex(hash.context_.get(), digest, nullptr) != 1) {
    return fail(ErrorCode::internal, "OpenSSL computes no {} here", name_of(kind));
  }
  if (kind == DigestKind::git_blob) {
    const std::string head = fmt::format("blob {}", size.count);
    hash.add(std::as_bytes(std::span(head.c_str(), head.size() + 1)));  // with the zero
  }
  return hash;
}

void ContentHash::add(std::span<const std::byte> bytes) {
  EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size());
}

std::string ContentHash::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned length = 0;
  EVP_DigestFinal_ex(context_.get(), digest.data(), &length);
  std::string hex;
  for (const unsigned char byte : std::span(digest).first(length)) {
    hex += fmt::format("{:02x}", byte);
  }
  return hex;
}

std::string_view name_of(DigestKind kind) {
  switch (kind) {
    case DigestKind::none:
      return "none";
    case DigestKind::sha256:
      return "SHA-256";
    case DigestKind::git_blob:
      return "git digest";
  }
  return "none";
}

}  // namespace berth::sources
