#include "net/message_writer.h"

#include "net/http.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>

#include <fmt/chrono.h>

namespace berth::net {
namespace {

constexpr std::size_t kUsualHead = 512;

// RFC 9110, 5.6.2, by character.
constexpr std::array<bool, 256> kTokenChars = [] {
  std::array<bool, 256> table{};
  for (const char c : std::string_view("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
                                       "ABCDEFGHIJKLMNOPQRSTUVWXYZ")) {
    table[static_cast<unsigned char>(c)] = true;
  }
  return table;
}();

bool is_token_char(char c) { return kTokenChars[static_cast<unsigned char>(c)]; }

bool is_token(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, is_token_char);
}

// A field can neither end its line nor the head; one without a proper name is left out.
void append_fields(std::string& out, const Headers& headers) {
  for (const auto& [name, value] : headers) {
    if (!is_token(name)) continue;
    out += name;
    out += ": ";
    for (const char c : value) out += c == '\r' || c == '\n' || c == '\0' ? ' ' : c;
    out += "\r\n";
  }
  out += "\r\n";
}

// RFC 9110, 5.6.7; formatted once a second and thread.
const std::string& http_date() {
  thread_local std::time_t second = -1;
  thread_local std::string text;
  const std::time_t now = std::chrono::system_clock::to_time_t(std::chrono::system_clock::now());
  if (now != second) {
    second = now;
    text = fmt::format("{:%a, %d %b %Y %H:%M:%S} GMT", fmt::gmtime(now));
  }
  return text;
}

}  // namespace

std::string response_head(int status, const Headers& headers) {
  std::string head;
  head.reserve(kUsualHead);
  head += "HTTP/1.1 ";
  head += std::to_string(status);
  head += ' ';
  head += reason_phrase(status);
  head += "\r\n";
  if (!headers.contains("date")) {
    head += "Date: ";
    head += http_date();
    head += "\r\n";
  }
  append_fields(head, headers);
  return head;
}

Result<std::string> request_head(std::string_view method, std::string_view target,
                                 const Headers& headers) {
  const bool clean = std::ranges::all_of(
      target, [](char c) { return static_cast<unsigned char>(c) > ' ' && c != 0x7f; });
  if (!is_token(method) || !clean || target.empty()) {
    return fail(ErrorCode::invalid_request, "\"{} {}\" is no request line", method, target);
  }
  std::string head;
  head.reserve(kUsualHead);
  head += method;
  head += ' ';
  head += target;
  head += " HTTP/1.1\r\n";
  append_fields(head, headers);
  return head;
}

std::string chunk_head(std::size_t size) {
  std::array<char, 16> digits{};
  const auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), size, 16);
  std::string head(digits.data(), end);  // short enough to need no memory
  head += "\r\n";
  return head;
}

}  // namespace berth::net
