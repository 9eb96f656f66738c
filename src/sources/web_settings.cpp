#include "sources/web_settings.h"

#include "sources/curl.h"
#include "sources/libcurl.h"

#include <cstdlib>
#include <filesystem>
#include <initializer_list>
#include <memory>
#include <tuple>
#include <utility>

namespace berth::sources {
namespace {

// The first of these variables that says something: its name, and what it says.
std::pair<std::string, std::string> first_of(std::initializer_list<const char*> names) {
  for (const char* name : names) {
    // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing here changes the environment
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return {name, value};
  }
  return {};
}

// Host and port of a proxy as curl reads it; empty where it does not.
std::string host_and_port(const std::string& value) {
  const auto curl = libcurl();
  if (!curl) return {};
  const std::unique_ptr<CURLU, decltype(&curl_url_cleanup)> url((*curl)->url(),
                                                                (*curl)->url_cleanup);
  if ((*curl)->url_set(url.get(), CURLUPART_URL, value.c_str(),
                       CURLU_NON_SUPPORT_SCHEME | CURLU_GUESS_SCHEME) != CURLUE_OK) {
    return {};
  }
  const auto part = [&](CURLUPart what) {
    char* text = nullptr;
    if ((*curl)->url_get(url.get(), what, &text, 0) != CURLUE_OK) return std::string();
    std::string copy(text);
    (*curl)->free(text);
    return copy;
  };
  std::string port = part(CURLUPART_PORT);
  if (port.empty()) port = part(CURLUPART_SCHEME) == "https" ? "443" : "1080";  // curl's own
  return sources::quoted(fmt::format("{}:{}", part(CURLUPART_HOST), port));
}

}  // namespace

std::optional<Proxy> proxy_for(const Address& address) {
  auto [variable, value] = address.scheme == "https"
                               ? first_of({"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"})
                               : first_of({"http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"});
  if (variable.empty()) return std::nullopt;
  std::string shown = host_and_port(value);
  return Proxy{
      .variable = std::move(variable), .value = std::move(value), .shown = std::move(shown)};
}

Error proxy_wants_user(const Proxy& proxy) {
  return make_error(ErrorCode::unauthenticated,
                    "the proxy {} wants another user or password (HTTP 407); write them into {} as "
                    "http://USER:PASSWORD@{}",
                    proxy.shown, proxy.variable, proxy.shown);
}

Authorities authorities() {
  Authorities found;
  std::tie(found.file_variable, found.file) =
      first_of({"SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"});
  std::tie(found.folder_variable, found.folder) = first_of({"SSL_CERT_DIR"});
  std::error_code error;
  if (found.file_variable == "REQUESTS_CA_BUNDLE" &&
      std::filesystem::is_directory(found.file, error)) {
    const auto file = std::exchange(found.file, "");
    const auto variable = std::exchange(found.file_variable, "");
    if (found.folder.empty()) {
      found.folder = file;
      found.folder_variable = variable;
    }
  }
  return found;
}

}  // namespace berth::sources
