// What an architecture name implies beyond the file's own keys: facts of llama.cpp's loader, which
// decides what the engine really does. Internal to formats.
#pragma once

#include "model/deployment.h"

#include <cstdint>
#include <string_view>

namespace berth::formats {

// Which layers attend through a window where the file has no list of its own.
struct WindowRule {
  std::string_view architecture;
  std::uint32_t period = 0;       // one layer in `period` has full attention; 0 = only by list
  bool full_first = false;        // the first of a period is the full one, else the last
  std::uint32_t window = 0;       // tokens where the file does not say; 0 = then no window
  bool fixed = false;             // `window` holds whatever the file says (unless it says 0)
  std::uint32_t only_layers = 0;  // the rule is for models of so many layers; 0 = for all
};

// Null where the engine gives every layer full attention, even if the file has a window.
const WindowRule* window_rule(std::string_view architecture);

// How it is told which layers are recurrent.
enum class Recurrence {
  by_heads,     // layers with no KV heads, if the file has the sizes of a state
  by_interval,  // all but one in an interval, or by a list
  all,          // every layer, and no attention
  beside,       // every layer, beside its attention
};
Recurrence recurrence_of(std::string_view architecture);
// For by_interval: the interval where the file does not say.
std::uint32_t default_interval(std::string_view architecture);

// Bidirectional models: one pass over the input, no KV cache.
bool keeps_no_cache(std::string_view architecture);
// Text encoders: they have no language head at all.
bool is_encoder(std::string_view architecture);

}  // namespace berth::formats
