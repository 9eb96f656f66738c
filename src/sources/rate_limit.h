// RateLimit: what a server says about how often it may be asked, in the fields "RateLimit" and
// "RateLimit-Policy" (draft-ietf-httpapi-ratelimit-headers-09, as Hugging Face sends them).
// Internal to sources.
#pragma once

#include "sources/curl.h"

#include <cstdint>
#include <optional>

namespace berth::sources {

// A limit that is reached.
struct RateLimit {
  Duration reset{0};          // until there are requests again
  std::uint64_t quota = 0;    // requests in a window; 0: not said
  std::uint64_t seconds = 0;  // of the window
};

// Of several limits that are reached, the one that lasts longest. Nothing where none is, or what
// the server says is in another form.
std::optional<RateLimit> reached_limit(const HttpHead& head);

}  // namespace berth::sources
