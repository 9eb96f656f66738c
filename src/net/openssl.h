// OpenSSL's objects as owned values, and its errors as ours.
#pragma once

#include "base/result.h"

#include <memory>
#include <string>
#include <string_view>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

namespace berth::net {

struct OpensslDelete {
  void operator()(BIO* object) const { BIO_free_all(object); }
  void operator()(BIGNUM* object) const { BN_free(object); }
  void operator()(EVP_PKEY* object) const { EVP_PKEY_free(object); }
  void operator()(GENERAL_NAMES* object) const { GENERAL_NAMES_free(object); }
  void operator()(SSL* object) const { SSL_free(object); }
  void operator()(X509* object) const { X509_free(object); }
  void operator()(X509_EXTENSION* object) const { X509_EXTENSION_free(object); }
  void operator()(X509_REQ* object) const { X509_REQ_free(object); }
  void operator()(X509_STORE* object) const { X509_STORE_free(object); }
  void operator()(X509_STORE_CTX* object) const { X509_STORE_CTX_free(object); }
};
template <class T>
using Owned = std::unique_ptr<T, OpensslDelete>;

// Reads from `text`, which must outlive it.
inline Owned<BIO> text_bio(std::string_view text) {
  return Owned<BIO>(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

// invalid_parameter, with the first reason on OpenSSL's queue, which is empty afterwards.
tl::unexpected<Error> openssl_failed(std::string_view what);

// The first name of the kind URI in a certificate's subjectAltName; empty: none.
std::string uri_name_of(const X509* certificate);
// Its serial number in lower-case hex.
std::string serial_of(const X509* certificate);

}  // namespace berth::net
