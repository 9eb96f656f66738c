#include "net/url.h"

#include <charconv>

namespace berth::net {
namespace {

constexpr std::string_view kHex = "0123456789ABCDEF";

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool is_unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

bool is_host_char(char c) {
  return static_cast<unsigned char>(c) > ' ' && c != 0x7f && c != '/' && c != '?' && c != '#' &&
         c != '@' && c != '[' && c != ']';
}

Result<std::uint16_t> parse_port(std::string_view text, std::string_view whole) {
  std::uint16_t port = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) {
    return fail(ErrorCode::invalid_parameter, "\"{}\" has no port from 0 to 65535", whole);
  }
  return port;
}

Result<std::string> decode(std::string_view text, bool plus_is_space) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+' && plus_is_space) {
      out += ' ';
    } else if (text[i] != '%') {
      out += text[i];
    } else {
      const int high = i + 2 < text.size() ? hex_value(text[i + 1]) : -1;
      const int low = i + 2 < text.size() ? hex_value(text[i + 2]) : -1;
      if (high < 0 || low < 0) {
        return fail(ErrorCode::invalid_request, "\"%\" at byte {} is not followed by two digits",
                    i);
      }
      const char c = static_cast<char>(high * 16 + low);
      if (c == '\0') return fail(ErrorCode::invalid_request, "an encoded NUL is not allowed");
      out += c;
      i += 2;
    }
  }
  return out;
}

}  // namespace

std::string to_string(const Endpoint& endpoint) {
  const bool v6 = endpoint.host.find(':') != std::string::npos;
  return fmt::format("{}{}{}:{}", v6 ? "[" : "", endpoint.host, v6 ? "]" : "", endpoint.port);
}

Result<Endpoint> parse_endpoint(std::string_view text, std::optional<std::uint16_t> default_port) {
  Endpoint endpoint;
  std::string_view rest = text;
  if (rest.starts_with('[')) {
    const std::size_t end = rest.find(']');
    if (end == std::string_view::npos) {
      return fail(ErrorCode::invalid_parameter, "\"{}\" lacks the \"]\" of its address", text);
    }
    endpoint.host = rest.substr(1, end - 1);
    rest.remove_prefix(end + 1);
  } else {
    const std::size_t colon = std::min(rest.find(':'), rest.size());
    endpoint.host = rest.substr(0, colon);
    rest.remove_prefix(colon);
  }
  bool sane = !endpoint.host.empty();
  for (const char c : endpoint.host) sane = sane && is_host_char(c);
  if (!sane) {
    return fail(ErrorCode::invalid_parameter, "\"{}\" is no address such as 127.0.0.1:8080", text);
  }
  if (rest.empty() && default_port) {
    endpoint.port = *default_port;
    return endpoint;
  }
  if (!rest.starts_with(':')) {
    return fail(ErrorCode::invalid_parameter, "\"{}\" is no address such as 127.0.0.1:8080", text);
  }
  BERTH_TRY(endpoint.port, parse_port(rest.substr(1), text));
  return endpoint;
}

Result<Url> parse_url(std::string_view text) {
  Url url;
  const std::size_t colon = text.find("://");
  const std::string_view scheme = text.substr(0, std::min(colon, text.size()));
  if (colon == std::string_view::npos || (scheme != "http" && scheme != "https")) {
    return fail(ErrorCode::invalid_parameter, "\"{}\" does not begin with http:// or https://",
                text);
  }
  url.scheme = scheme;
  std::string_view rest = text.substr(colon + 3);
  rest = rest.substr(0, rest.find('#'));
  const std::size_t path = std::min(rest.find_first_of("/?"), rest.size());
  const std::uint16_t port = url.scheme == "https" ? 443 : 80;
  BERTH_TRY(url.endpoint, parse_endpoint(rest.substr(0, path), port));
  rest.remove_prefix(path);
  for (const char c : rest) {
    if (static_cast<unsigned char>(c) <= ' ' || c == 0x7f) {
      return fail(ErrorCode::invalid_parameter, "the path of \"{}\" is not percent-encoded", text);
    }
  }
  url.target = rest.starts_with('/') ? std::string(rest) : "/" + std::string(rest);
  return url;
}

std::string to_string(const Url& url) {
  return url.scheme + "://" + to_string(url.endpoint) + url.target;
}

std::string percent_encode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (is_unreserved(c)) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      out += '%';
      out += kHex[byte >> 4U];
      out += kHex[byte & 15U];
    }
  }
  return out;
}

Result<std::string> percent_decode(std::string_view text) { return decode(text, false); }

Result<Query> Query::parse(std::string_view text) {
  Query query;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('&'), text.size());
    const std::string_view pair = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (pair.empty()) continue;
    const std::size_t equals = std::min(pair.find('='), pair.size());
    BERTH_TRY(auto name, decode(pair.substr(0, equals), true));
    BERTH_TRY(auto value, decode(pair.substr(std::min(equals + 1, pair.size())), true));
    query.add(std::move(name), std::move(value));
  }
  return query;
}

std::optional<std::string_view> Query::get(std::string_view name) const {
  for (const auto& [key, value] : pairs_) {
    if (key == name) return value;
  }
  return std::nullopt;
}

std::vector<std::string_view> Query::get_all(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const auto& [key, value] : pairs_) {
    if (key == name) values.emplace_back(value);
  }
  return values;
}

std::string Query::to_string() const {
  std::string out;
  for (const auto& [key, value] : pairs_) {
    if (!out.empty()) out += '&';
    out += percent_encode(key);
    out += '=';
    out += percent_encode(value);
  }
  return out;
}

}  // namespace berth::net
