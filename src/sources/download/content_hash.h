// ContentHash: the digest of a file, taken while its bytes go by. OpenSSL's, which uses what the
// processor has for SHA: files are large, and this is what their speed ends at.
#pragma once

#include "base/bytes.h"
#include "sources/hub/listing.h"

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include <openssl/evp.h>

namespace berth::sources {

// Move-only; not thread-safe.
class ContentHash {
 public:
  // Of a file of `size` bytes; git's digest begins with it. Fails with internal where OpenSSL lacks
  // the digest, as in a FIPS mode. DigestKind::none is a bug of the caller.
  static Result<ContentHash> begin(DigestKind kind, Bytes size);

  void add(std::span<const std::byte> bytes);
  // Lower-case hexadecimal digits. Once, and nothing after it.
  [[nodiscard]] std::string finish();

 private:
  using Context = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

  explicit ContentHash(Context context) : context_(std::move(context)) {}

  Context context_;
};

// "SHA-256", for messages.
std::string_view name_of(DigestKind kind);

}  // namespace berth::sources
