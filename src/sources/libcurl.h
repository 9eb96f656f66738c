// LibCurl: libcurl's functions, loaded when the first address is read and not with the program. It
// brings some thirty libraries along, 4 MiB and 5 ms in each of Berth's processes, most of which
// never read from the web. Internal to sources.
#pragma once

#include "base/result.h"

#include <curl/curl.h>

namespace berth::sources {

// Named as in libcurl, less "curl_".
struct LibCurl {
  decltype(&curl_global_init) global_init = nullptr;
  decltype(&curl_version_info) version_info = nullptr;
  decltype(&curl_free) free = nullptr;
  decltype(&curl_easy_init) easy_init = nullptr;
  decltype(&curl_easy_cleanup) easy_cleanup = nullptr;
  decltype(&curl_easy_reset) easy_reset = nullptr;
  decltype(&curl_easy_setopt) easy_setopt = nullptr;
  decltype(&curl_easy_getinfo) easy_getinfo = nullptr;
  decltype(&curl_easy_perform) easy_perform = nullptr;
  decltype(&curl_easy_strerror) easy_strerror = nullptr;
  decltype(&curl_slist_append) slist_append = nullptr;
  decltype(&curl_slist_free_all) slist_free_all = nullptr;
  decltype(&curl_url) url = nullptr;
  decltype(&curl_url_cleanup) url_cleanup = nullptr;
  decltype(&curl_url_get) url_get = nullptr;
  decltype(&curl_url_set) url_set = nullptr;
  decltype(&curl_url_strerror) url_strerror = nullptr;
};

// Loaded and set up at the first call; stays until the program ends. Thread-safe. Fails with
// unsupported where this machine lacks it, or has one that is too old.
Result<const LibCurl*> libcurl();

}  // namespace berth::sources
