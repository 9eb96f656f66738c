// Address: where a file is on the web, checked, with a form that is fit for messages.
#pragma once

#include "base/result.h"

#include <string>
#include <string_view>

namespace berth::sources {

// An http or https address. Only `shown` may stand in messages and logs: the query of `url` may
// hold a signature that opens the file to whoever has it.
struct Address {
  std::string url;     // as it is asked for: no user, no fragment, percent-encoded
  std::string scheme;  // "http" or "https"
  std::string host;    // lower case; IPv6 in brackets
  std::string port;    // digits
  std::string shown;   // without the default port, and "?…" for a query
  std::string file;    // the last part of the path, decoded

  // Whether `other` is the same server, so that what is secret may go there too.
  [[nodiscard]] bool same_origin(const Address& other) const {
    return scheme == other.scheme && host == other.host && port == other.port;
  }
};

// Whether `text` is meant as an address: begins with http:// or https://, in capitals or not.
bool is_address(std::string_view text);

// Reads the address of a file. Fails with invalid_parameter (field "source"), in words that hold
// nothing of the text: another scheme, a user or password in it, no file at its end, no address.
Result<Address> parse_address(std::string_view text);

// Where a redirect from `from` leads; `location` may be relative. Fails with corrupt where it is no
// address, and with unsupported where it leads from https to http or to another scheme.
Result<Address> redirected(const Address& from, std::string_view location);

}  // namespace berth::sources
