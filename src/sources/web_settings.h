// The way to the web as this machine's user set it: proxies and authorities, from the variables
// that curl and other tools read. Internal to sources.
#pragma once

#include "sources/address.h"

#include <optional>
#include <string>

namespace berth::sources {

// A proxy that is set for an address; NO_PROXY may still name the address's host.
struct Proxy {
  std::string variable;  // that names it: "HTTPS_PROXY"
  std::string value;     // may hold a password: for curl alone
  std::string shown;     // "proxy.example:3128", for messages; empty where the value is no address
};

// https_proxy for https and http_proxy for http, else all_proxy; each in capitals too.
std::optional<Proxy> proxy_for(const Address& address);

// The error of a proxy that asks for a user and a password (HTTP 407).
Error proxy_wants_user(const Proxy& proxy);

// Where the certificates of authorities are, if not where the system has them.
struct Authorities {
  std::string file;
  std::string file_variable;  // that names it
  std::string folder;
  std::string folder_variable;
};

// SSL_CERT_FILE, else CURL_CA_BUNDLE, else REQUESTS_CA_BUNDLE (which may name a folder as well);
// SSL_CERT_DIR. Empty values do not count.
Authorities authorities();

}  // namespace berth::sources
