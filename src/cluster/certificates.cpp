#include "cluster/certificates.h"

#include "base/ids.h"
#include "net/openssl.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <ctime>

#include <openssl/pem.h>
#include <openssl/rand.h>

namespace berth::cluster {
namespace {

using net::openssl_failed;
using net::Owned;
using net::text_bio;

constexpr std::string_view kScheme = "berth://";
constexpr std::string_view kWorkerPath = "/worker/";

template <class Write>
Result<std::string> write_pem(Write write) {
  const Owned<BIO> out(BIO_new(BIO_s_mem()));
  if (!out || write(out.get()) != 1) return openssl_failed("writing PEM");
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return std::string(data, static_cast<std::size_t>(size));
}

Result<std::string> pem_of(EVP_PKEY* key) {
  return write_pem([key](BIO* out) {
    return PEM_write_bio_PKCS8PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
  });
}
Result<std::string> pem_of(X509* certificate) {
  return write_pem([certificate](BIO* out) { return PEM_write_bio_X509(out, certificate); });
}

Result<Owned<EVP_PKEY>> read_key(const std::string& pem) {
  const auto text = text_bio(pem);
  Owned<EVP_PKEY> key(PEM_read_bio_PrivateKey(text.get(), nullptr, nullptr, nullptr));
  if (!key) return openssl_failed("reading a key");
  return key;
}

Result<Owned<X509>> read_first(const std::string& pem) {
  const auto text = text_bio(pem);
  Owned<X509> certificate(PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr));
  if (!certificate) return openssl_failed("reading a certificate");
  return certificate;
}

// Its signature is good, and its key is of the kind that we use.
Result<Owned<X509_REQ>> read_request(const std::string& pem) {
  const auto text = text_bio(pem);
  Owned<X509_REQ> request(PEM_read_bio_X509_REQ(text.get(), nullptr, nullptr, nullptr));
  if (!request) return openssl_failed("reading a certificate request");
  EVP_PKEY* key = X509_REQ_get0_pubkey(request.get());
  if (key == nullptr || X509_REQ_verify(request.get(), key) != 1) {
    return openssl_failed("a certificate request is not signed by its key");
  }
  if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC || EVP_PKEY_get_bits(key) != 256) {
    return fail(ErrorCode::invalid_parameter, "the key of a request must be on the curve P-256");
  }
  return request;
}

std::string digest_of(EVP_PKEY* key) {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(key, &der);
  if (size <= 0) return {};
  const std::string digest =
      sha256_hex({reinterpret_cast<const char*>(der), static_cast<std::size_t>(size)});
  OPENSSL_free(der);
  return digest;
}

bool add_extension(X509* certificate, const X509* issuer, int kind, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, const_cast<X509*>(issuer), certificate, nullptr, nullptr, 0);
  const Owned<X509_EXTENSION> extension(
      X509V3_EXT_conf_nid(nullptr, &context, kind, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool set_common_name(X509* certificate, const std::string& name) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(name.data());
  return X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate), "CN", MBSTRING_UTF8, bytes,
                                    static_cast<int>(name.size()), -1, 0) == 1;
}

// 127 random bits (RFC 5280, section 4.1.2.2: positive, at most 20 octets).
bool set_serial(X509* certificate) {
  std::array<unsigned char, 16> random{};
  if (RAND_bytes(random.data(), random.size()) != 1) return false;
  random[0] = static_cast<unsigned char>((random[0] & 0x7fU) | 0x40U);
  const Owned<BIGNUM> number(BN_bin2bn(random.data(), random.size(), nullptr));
  return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool set_times(X509* certificate, SystemTime begins, SystemTime ends) {
  return ASN1_TIME_set(X509_getm_notBefore(certificate),
                       std::chrono::system_clock::to_time_t(begins)) != nullptr &&
         ASN1_TIME_set(X509_getm_notAfter(certificate),
                       std::chrono::system_clock::to_time_t(ends)) != nullptr;
}

// What all certificates have; not signed yet. The subject's common name tells people which it is.
Result<Owned<X509>> begin_certificate(EVP_PKEY* key, const std::string& common_name,
                                      SystemTime begins, SystemTime ends) {
  Owned<X509> made(X509_new());
  const bool good = made && X509_set_version(made.get(), X509_VERSION_3) == 1 &&
                    set_serial(made.get()) && set_times(made.get(), begins, ends) &&
                    X509_set_pubkey(made.get(), key) == 1 &&
                    set_common_name(made.get(), common_name);
  if (!good) return openssl_failed("making a certificate");
  return made;
}

// Nothing that OpenSSL's text form of an extension would read as more than a name.
bool is_plain_name(std::string_view name) {
  return !name.empty() && std::ranges::all_of(name, [](unsigned char c) {
    return std::isalnum(c) != 0 ||
           std::string_view(":/.-_").find(static_cast<char>(c)) != std::string_view::npos;
  });
}

SystemTime to_system_time(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return {};
  return SystemTime(std::chrono::seconds(::timegm(&parts)));
}

}  // namespace

std::string server_name(std::string_view cluster) {
  return fmt::format("{}{}/server", kScheme, cluster);
}

std::string worker_name(std::string_view cluster, std::string_view worker) {
  return fmt::format("{}{}{}{}", kScheme, cluster, kWorkerPath, worker);
}

std::optional<std::string> worker_of_name(std::string_view name, std::string_view cluster) {
  const std::string start = worker_name(cluster, "");
  if (!name.starts_with(start) || name.size() == start.size()) return std::nullopt;
  return std::string(name.substr(start.size()));
}

Result<std::string> make_key() {
  const Owned<EVP_PKEY> key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  if (!key) return openssl_failed("making a key");
  return pem_of(key.get());
}

Result<Credential> make_authority(std::string_view cluster, SystemTime now) {
  Credential authority;
  BERTH_TRY(authority.key, make_key());
  BERTH_TRY(const auto key, read_key(authority.key));
  BERTH_TRY(const auto made, begin_certificate(key.get(), fmt::format("Berth cluster {}", cluster),
                                               now - kBackdated, now + kAuthorityLifetime));
  X509* certificate = made.get();
  const bool good =
      X509_set_issuer_name(certificate, X509_get_subject_name(certificate)) == 1 &&
      add_extension(certificate, certificate, NID_basic_constraints,
                    "critical,CA:TRUE,pathlen:0") &&
      add_extension(certificate, certificate, NID_key_usage, "critical,keyCertSign,cRLSign") &&
      add_extension(certificate, certificate, NID_subject_key_identifier, "hash") &&
      X509_sign(certificate, key.get(), EVP_sha256()) > 0;
  if (!good) return openssl_failed("making the cluster's authority");
  BERTH_TRY(authority.certificate, pem_of(certificate));
  return authority;
}

Result<std::string> make_request(const std::string& key) {
  BERTH_TRY(const auto own, read_key(key));
  const Owned<X509_REQ> request(X509_REQ_new());
  const bool good = request && X509_REQ_set_version(request.get(), X509_REQ_VERSION_1) == 1 &&
                    X509_REQ_set_pubkey(request.get(), own.get()) == 1 &&
                    X509_REQ_sign(request.get(), own.get(), EVP_sha256()) > 0;
  if (!good) return openssl_failed("making a certificate request");
  return write_pem([&](BIO* out) { return PEM_write_bio_X509_REQ(out, request.get()); });
}

Result<std::string> key_digest_of_request(const std::string& request) {
  BERTH_TRY(const auto read, read_request(request));
  return digest_of(X509_REQ_get0_pubkey(read.get()));
}

Result<Signed> sign(const Credential& authority, const std::string& request, std::string_view name,
                    SystemTime now) {
  if (!is_plain_name(name)) {
    return fail(ErrorCode::invalid_parameter, "a certificate can not name \"{}\"", name);
  }
  BERTH_TRY(const auto wish, read_request(request));
  BERTH_TRY(const auto issuer, read_first(authority.certificate));
  BERTH_TRY(const auto key, read_key(authority.key));
  const SystemTime ends =
      std::min<SystemTime>(now + kMemberLifetime, to_system_time(X509_get0_notAfter(issuer.get())));
  BERTH_TRY(const auto made,
            begin_certificate(X509_REQ_get0_pubkey(wish.get()), "Berth", now - kBackdated, ends));
  X509* certificate = made.get();
  const bool good =
      X509_set_issuer_name(certificate, X509_get_subject_name(issuer.get())) == 1 &&
      add_extension(certificate, issuer.get(), NID_basic_constraints, "critical,CA:FALSE") &&
      add_extension(certificate, issuer.get(), NID_key_usage, "critical,digitalSignature") &&
      add_extension(certificate, issuer.get(), NID_ext_key_usage, "serverAuth,clientAuth") &&
      add_extension(certificate, issuer.get(), NID_authority_key_identifier, "keyid:always") &&
      add_extension(certificate, issuer.get(), NID_subject_alt_name, fmt::format("URI:{}", name)) &&
      X509_sign(certificate, key.get(), EVP_sha256()) > 0;
  if (!good) return openssl_failed("signing a certificate");
  BERTH_TRY(const std::string own, pem_of(certificate));
  return Signed{.certificate = own + authority.certificate,
                .serial = net::serial_of(certificate),
                .ends = ends};
}

Result<std::shared_ptr<const net::Tls>> member_tls(const Credential& own,
                                                   const std::string& authority) {
  return net::Tls::make({.certificate = own.certificate,
                         .key = own.key,
                         .authority = authority,
                         .fingerprint = "",
                         .check_time = false});
}

Result<CertificateFacts> read_certificate(const std::string& pem) {
  BERTH_TRY(const auto certificate, read_first(pem));
  return CertificateFacts{.name = net::uri_name_of(certificate.get()),
                          .serial = net::serial_of(certificate.get()),
                          .begins = to_system_time(X509_get0_notBefore(certificate.get())),
                          .ends = to_system_time(X509_get0_notAfter(certificate.get()))};
}

}  // namespace berth::cluster
