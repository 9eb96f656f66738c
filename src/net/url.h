// URLs, percent-encoding and query strings.
#pragma once

#include "base/result.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace berth::net {

// Where a server listens. `host` is a name or an address, IPv6 without brackets.
struct Endpoint {
  std::string host;
  std::uint16_t port = 0;

  friend auto operator<=>(const Endpoint&, const Endpoint&) = default;
};

// "127.0.0.1:8080", "[::1]:8080".
std::string to_string(const Endpoint& endpoint);
// Reads "host:port" or "[v6]:port"; with `default_port`, also "host". Fails: invalid_parameter.
Result<Endpoint> parse_endpoint(std::string_view text,
                                std::optional<std::uint16_t> default_port = {});

// "http://host:port/path?query".
struct Url {
  std::string scheme = "http";  // lower case
  Endpoint endpoint;
  std::string target = "/";  // path and query, still encoded

  friend bool operator==(const Url&, const Url&) = default;
};

// Accepts http and https (port 80 and 443 by default), no user information. The fragment is left
// out. Fails with invalid_parameter.
Result<Url> parse_url(std::string_view text);
std::string to_string(const Url& url);

// Everything but letters, digits and "-._~" as %XX. For one path segment or query value.
std::string percent_encode(std::string_view text);
// Fails with invalid_request on a broken %XX, and on an encoded NUL.
Result<std::string> percent_decode(std::string_view text);

// The decoded pairs of a query string, in order. A value.
class Query {
 public:
  using Pair = std::pair<std::string, std::string>;

  Query() = default;
  Query(std::initializer_list<Pair> pairs) : pairs_(pairs) {}

  // Reads "a=1&b=x%20y+z" ("+" is a space). Fails with invalid_request.
  static Result<Query> parse(std::string_view text);

  // The first value of `name`.
  [[nodiscard]] std::optional<std::string_view> get(std::string_view name) const;
  [[nodiscard]] std::vector<std::string_view> get_all(std::string_view name) const;
  void add(std::string name, std::string value) {
    pairs_.emplace_back(std::move(name), std::move(value));
  }
  // "a=1&b=x%20y", without "?"; empty where there is no pair.
  [[nodiscard]] std::string to_string() const;

  [[nodiscard]] bool empty() const { return pairs_.empty(); }
  [[nodiscard]] auto begin() const { return pairs_.begin(); }
  [[nodiscard]] auto end() const { return pairs_.end(); }

 private:
  std::vector<Pair> pairs_;
};

}  // namespace berth::net
