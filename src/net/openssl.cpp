#include "net/openssl.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace berth::net {

tl::unexpected<Error> openssl_failed(std::string_view what) {
  std::array<char, 256> text{};
  const unsigned long code = ERR_get_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  if (reason == nullptr) ERR_error_string_n(code, text.data(), text.size());
  ERR_clear_error();
  return fail(ErrorCode::invalid_parameter, "{}: {}", what,
              reason == nullptr ? text.data() : reason);
}

std::string uri_name_of(const X509* certificate) {
  const Owned<GENERAL_NAMES> names(static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr)));
  for (int i = 0; names && i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type != GEN_URI) continue;
    const ASN1_IA5STRING* uri = name->d.uniformResourceIdentifier;
    return {reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)),
            static_cast<std::size_t>(ASN1_STRING_length(uri))};
  }
  return {};
}

std::string serial_of(const X509* certificate) {
  const Owned<BIGNUM> number(ASN1_INTEGER_to_BN(X509_get0_serialNumber(certificate), nullptr));
  char* hex = number ? BN_bn2hex(number.get()) : nullptr;
  if (hex == nullptr) return {};
  std::string serial = hex;
  OPENSSL_free(hex);
  std::ranges::transform(serial, serial.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return serial;
}

}  // namespace berth::net
