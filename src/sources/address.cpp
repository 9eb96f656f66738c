#include "sources/address.h"

#include "sources/libcurl.h"

#include <algorithm>
#include <cctype>
#include <memory>
#include <optional>

namespace berth::sources {
namespace {

constexpr std::size_t kLongestAddress = 8192;
constexpr std::string_view kExample = "https://example.org/model.gguf";

// An address in curl's hands, so that what is checked is what is asked for.
class CurlUrl {
 public:
  explicit CurlUrl(const LibCurl& curl) : curl_(curl), url_(curl.url(), curl.url_cleanup) {}

  // Reads `text`, relative to what is there. What is wrong with it, nothing if all is well.
  std::optional<std::string> read(std::string_view text);
  // As an Address; leaves out the fragment.
  Address address();
  // A part as curl has it; empty where there is none.
  [[nodiscard]] std::string part(CURLUPart what, unsigned flags = 0) const;

 private:
  const LibCurl& curl_;
  std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> url_;
};

std::string CurlUrl::part(CURLUPart what, unsigned flags) const {
  char* text = nullptr;
  if (curl_.url_get(url_.get(), what, &text, flags) != CURLUE_OK) return {};
  std::string copy(text);
  curl_.free(text);
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

std::optional<std::string> CurlUrl::read(std::string_view text) {
  if (text.size() > kLongestAddress) {
    return fmt::format("it is longer than {} bytes", kLongestAddress);
  }
  if (has_control_characters(text)) return "it has control characters";
  const CURLUcode code = curl_.url_set(url_.get(), CURLUPART_URL, std::string(text).c_str(),
                                       CURLU_DISALLOW_USER | CURLU_URLENCODE);
  if (code == CURLUE_USER_NOT_ALLOWED) return "it holds a user or a password; leave them out";
  if (code != CURLUE_OK) return std::string(curl_.url_strerror(code));
  if (!is_ascii(part(CURLUPART_HOST))) return "its host is not written in ASCII";
  return std::nullopt;
}

Address CurlUrl::address() {
  curl_.url_set(url_.get(), CURLUPART_FRAGMENT, nullptr, 0);
  Address address{.url = part(CURLUPART_URL),
                  .scheme = lower_case(part(CURLUPART_SCHEME)),
                  .host = lower_case(part(CURLUPART_HOST)),
                  .port = part(CURLUPART_PORT, CURLU_DEFAULT_PORT)};
  const std::string port = part(CURLUPART_PORT, CURLU_NO_DEFAULT_PORT);
  address.shown =
      fmt::format("{}://{}{}{}{}{}", address.scheme, address.host, port.empty() ? "" : ":", port,
                  part(CURLUPART_PATH), part(CURLUPART_QUERY).empty() ? "" : "?…");
  const std::string path = part(CURLUPART_PATH, CURLU_URLDECODE);
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
  BERTH_TRY(const LibCurl* curl, libcurl());
  CurlUrl url(*curl);
  if (const auto wrong = url.read(text)) return fail(no_address(*wrong));
  if (url.part(CURLUPART_PATH).ends_with('/')) {
    return fail(no_address("it names no file, since its path ends with a slash"));
  }
  return url.address();
}

Result<Address> redirected(const Address& from, std::string_view location) {
  if (location.empty()) {
    return fail(ErrorCode::corrupt, "{} redirects without saying where to", from.host);
  }
  BERTH_TRY(const LibCurl* curl, libcurl());
  CurlUrl url(*curl);
  url.read(from.url);
  if (const auto wrong = url.read(location)) {
    return fail(ErrorCode::corrupt, "{} redirects to what is no address: {}", from.host, *wrong);
  }
  Address to = url.address();
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
