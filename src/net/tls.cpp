#include "net/tls.h"

#include "base/ids.h"
#include "net/openssl.h"

#include <vector>

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509_vfy.h>

namespace berth::net {
namespace {

Result<Owned<X509>> read_certificate(BIO* text) {
  Owned<X509> certificate(PEM_read_bio_X509(text, nullptr, nullptr, nullptr));
  if (!certificate) return openssl_failed("reading a certificate");
  return certificate;
}

// All that the text has, at least one.
Result<std::vector<Owned<X509>>> read_certificates(const std::string& pem) {
  const auto text = text_bio(pem);
  std::vector<Owned<X509>> all;
  for (;;) {
    auto next = read_certificate(text.get());
    if (!next && all.empty()) return fail(std::move(next).error());
    if (!next) break;
    all.push_back(std::move(*next));
  }
  ERR_clear_error();
  return all;
}

Result<void> use_identity(SSL_CTX* context, const TlsSettings& settings) {
  BERTH_TRY(const auto chain, read_certificates(settings.certificate));
  const auto text = text_bio(settings.key);
  const Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(text.get(), nullptr, nullptr, nullptr));
  if (!key) return openssl_failed("reading the key of a certificate");
  if (SSL_CTX_use_certificate(context, chain.front().get()) != 1) {
    return openssl_failed("using a certificate");
  }
  for (std::size_t i = 1; i < chain.size(); ++i) {
    if (SSL_CTX_add1_chain_cert(context, chain[i].get()) != 1) {
      return openssl_failed("using a certificate's chain");
    }
  }
  if (SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
    return openssl_failed("the key does not belong to the certificate");
  }
  return {};
}

Result<void> trust(SSL_CTX* context, const std::string& authority) {
  BERTH_TRY(const auto roots, read_certificates(authority));
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  for (const auto& root : roots) {
    if (X509_STORE_add_cert(store, root.get()) != 1)
      return openssl_failed("trusting a certificate");
    if (SSL_CTX_add_client_CA(context, root.get()) != 1) return openssl_failed("naming a root");
  }
  return {};
}

std::string hex_digest(const X509* certificate) {
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate, &der);
  if (size <= 0) return {};
  const std::string digest =
      sha256_hex({reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)});
  OPENSSL_free(der);
  return digest;
}

// Verifies the peer's chain up to the certificate with the fingerprint that `expected` points to.
int verify_pinned(X509_STORE_CTX* given, void* expected) {
  const auto& fingerprint = *static_cast<const std::string*>(expected);
  STACK_OF(X509)* chain = X509_STORE_CTX_get0_untrusted(given);
  X509_STORE_CTX_set_error(given, X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN);
  for (int i = 0; i < sk_X509_num(chain); ++i) {
    X509* root = sk_X509_value(chain, i);
    if (hex_digest(root) != fingerprint) continue;
    const Owned<X509_STORE> store(X509_STORE_new());
    const Owned<X509_STORE_CTX> check(X509_STORE_CTX_new());
    if (!store || !check || X509_STORE_add_cert(store.get(), root) != 1) return 0;
    X509* leaf = X509_STORE_CTX_get0_cert(given);
    if (X509_STORE_CTX_init(check.get(), store.get(), leaf, chain) != 1) return 0;
    X509_STORE_CTX_set_default(check.get(), "ssl_server");
    X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(check.get()), X509_V_FLAG_NO_CHECK_TIME);
    const int good = X509_verify_cert(check.get());
    X509_STORE_CTX_set_error(given, X509_STORE_CTX_get_error(check.get()));
    return good == 1 ? 1 : 0;
  }
  return 0;
}

}  // namespace

Result<std::shared_ptr<const Tls>> Tls::make(const TlsSettings& settings) {
  if (settings.authority.empty() == settings.fingerprint.empty()) {
    return fail(ErrorCode::invalid_parameter, "TLS needs an authority or its fingerprint");
  }
  std::shared_ptr<Tls> tls(new Tls);
  tls->context_ = SSL_CTX_new(TLS_method());
  SSL_CTX* context = tls->context_;
  if (context == nullptr) return openssl_failed("setting up TLS");
  SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  // Each connection proves who it is: nothing is resumed.
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context, 0);
  SSL_CTX_set_options(context, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  if (!settings.check_time) {
    X509_VERIFY_PARAM_set_flags(SSL_CTX_get0_param(context), X509_V_FLAG_NO_CHECK_TIME);
  }
  if (!settings.authority.empty()) BERTH_CHECK(trust(context, settings.authority));
  if (!settings.fingerprint.empty()) {
    tls->fingerprint_ = settings.fingerprint;
    SSL_CTX_set_cert_verify_callback(context, &verify_pinned, &tls->fingerprint_);
  }
  if (!settings.certificate.empty()) BERTH_CHECK(use_identity(context, settings));
  return tls;
}

Tls::~Tls() { SSL_CTX_free(context_); }

Result<std::string> fingerprint_of(const std::string& pem) {
  const auto text = text_bio(pem);
  BERTH_TRY(const auto certificate, read_certificate(text.get()));
  return hex_digest(certificate.get());
}

}  // namespace berth::net
