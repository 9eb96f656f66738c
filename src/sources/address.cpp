#include "sources/address.h"

#include <algorithm>
#include <cctype>
#include <memory>
#include <optional>

#include <curl/curl.h>

namespace berth::sources {
namespace {

constexpr std::size_t kLongestAddress = 8192;
constexpr std::string_view kExample = "https://example.org/model.gguf";

using UrlHandle = std::unique_ptr<CURLU, decltype(&curl_url_cleanup)>;

// A part as curl has it; empty where there is none.
std::string part(CURLU* url, CURLUPart what, unsigned flags = 0) {
  char* text = nullptr;
  if (curl_url_get(url, what, &text, flags) != CURLUE_OK) return {};
  std::string copy(text);
  curl_free(text);
  return copy;
}

std::string lower_case(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

bool has_control_characters(std::string_view text) {
  return std::ranges::any_of(
      text, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7F; });
}

bool is_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

// Reads `text` into `url`, relative to what is there. What is wrong with it, nothing if all is
// well.
std::optional<std::string> read_into(CURLU* url, std::string_view text) {
  if (text.size() > kLongestAddress) {
    return fmt::format("it is longer than {} bytes", kLongestAddress);
  }
  if (has_control_characters(text)) return "it has control characters";
  const CURLUcode code = curl_url_set(url, CURLUPART_URL, std::string(text).c_str(),
                                      CURLU_DISALLOW_USER | CURLU_URLENCODE);
  if (code == CURLUE_USER_NOT_ALLOWED) return "it holds a user or a password; leave them out";
  if (code != CURLUE_OK) return std::string(curl_url_strerror(code));
  if (!is_ascii(part(url, CURLUPART_HOST))) return "its host is not written in ASCII";
  return std::nullopt;
}

// curl's parts as an Address; leaves out the fragment.
Address address_of(CURLU* url) {
  curl_url_set(url, CURLUPART_FRAGMENT, nullptr, 0);
  Address address{.url = part(url, CURLUPART_URL),
                  .scheme = lower_case(part(url, CURLUPART_SCHEME)),
                  .host = lower_case(part(url, CURLUPART_HOST)),
                  .port = part(url, CURLUPART_PORT, CURLU_DEFAULT_PORT)};
  const std::string port = part(url, CURLUPART_PORT, CURLU_NO_DEFAULT_PORT);
  address.shown =
      fmt::format("{}://{}{}{}{}{}", address.scheme, address.host, port.empty() ? "" : ":", port,
                  part(url, CURLUPART_PATH), part(url, CURLUPART_QUERY).empty() ? "" : "?…");
  const std::string path = part(url, CURLUPART_PATH, CURLU_URLDECODE);
  address.file = path.substr(path.rfind('/') + 1);
  return address;
}

Error no_address(std::string_view why) {
  return make_error(ErrorCode::invalid_parameter, "source: it is no address such as {}: {}",
                    kExample, why)
      .with_field("source");
}

}  // namespace

bool is_address(std::string_view text) {
  const std::string begin = lower_case(std::string(text.substr(0, 8)));
  return begin.starts_with("http://") || begin == "https://";
}

Result<Address> parse_address(std::string_view text) {
  if (!is_address(text)) return fail(no_address("it does not begin with http:// or https://"));
  const UrlHandle url(curl_url(), &curl_url_cleanup);
  if (const auto wrong = read_into(url.get(), text)) return fail(no_address(*wrong));
  if (part(url.get(), CURLUPART_PATH).ends_with('/')) {
    return fail(no_address("it names no file, since its path ends with a slash"));
  }
  return address_of(url.get());
}

Result<Address> redirected(const Address& from, std::string_view location) {
  if (location.empty()) {
    return fail(ErrorCode::corrupt, "{} redirects without saying where to", from.host);
  }
  const UrlHandle url(curl_url(), &curl_url_cleanup);
  read_into(url.get(), from.url);
  if (const auto wrong = read_into(url.get(), location)) {
    return fail(ErrorCode::corrupt, "{} redirects to what is no address: {}", from.host, *wrong);
  }
  Address to = address_of(url.get());
  if (to.scheme != "http" && to.scheme != "https") {
    return fail(ErrorCode::unsupported, "{} redirects to what is neither http nor https",
                from.host);
  }
  if (from.scheme == "https" && to.scheme == "http") {
    return fail(ErrorCode::unsupported,
                "{} redirects from https to http, where anybody on the way could change the file",
                from.host);
  }
  return to;
}

}  // namespace berth::sources
