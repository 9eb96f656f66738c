#include "sources/libcurl.h"

#include <dlfcn.h>

namespace berth::sources {
namespace {

constexpr const char* kFile = "libcurl.so.4";
constexpr unsigned kOldest = 0x075500;  // 7.85: CURLOPT_PROTOCOLS_STR

template <class Function>
bool find(void* library, const char* name, Function& function) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): as dlsym is meant
  function = reinterpret_cast<Function>(::dlsym(library, name));
  return function != nullptr;
}

bool find_all(void* library, LibCurl& curl) {
  return find(library, "curl_global_init", curl.global_init) &&
         find(library, "curl_version_info", curl.version_info) &&
         find(library, "curl_free", curl.free) && find(library, "curl_easy_init", curl.easy_init) &&
         find(library, "curl_easy_cleanup", curl.easy_cleanup) &&
         find(library, "curl_easy_reset", curl.easy_reset) &&
         find(library, "curl_easy_setopt", curl.easy_setopt) &&
         find(library, "curl_easy_getinfo", curl.easy_getinfo) &&
         find(library, "curl_easy_perform", curl.easy_perform) &&
         find(library, "curl_easy_strerror", curl.easy_strerror) &&
         find(library, "curl_slist_append", curl.slist_append) &&
         find(library, "curl_slist_free_all", curl.slist_free_all) &&
         find(library, "curl_url", curl.url) &&
         find(library, "curl_url_cleanup", curl.url_cleanup) &&
         find(library, "curl_url_get", curl.url_get) &&
         find(library, "curl_url_set", curl.url_set) &&
         find(library, "curl_url_strerror", curl.url_strerror);
}

Result<LibCurl> load() {
  void* library = ::dlopen(kFile, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return fail(ErrorCode::unsupported,
                "{} is missing, which reads from the web (Debian: apt-get install libcurl4): {}",
                kFile, ::dlerror());
  }
  LibCurl curl;
  if (!find_all(library, curl) || curl.version_info(CURLVERSION_NOW)->version_num < kOldest) {
    return fail(ErrorCode::unsupported, "{} is older than 7.85, the oldest that will do", kFile);
  }
  if (const CURLcode code = curl.global_init(CURL_GLOBAL_DEFAULT); code != CURLE_OK) {
    return fail(ErrorCode::internal, "libcurl does not start: {}", curl.easy_strerror(code));
  }
  return curl;
}

}  // namespace

Result<const LibCurl*> libcurl() {
  static const Result<LibCurl> loaded = load();
  if (!loaded) return fail(loaded.error());
  return &*loaded;
}

}  // namespace berth::sources
