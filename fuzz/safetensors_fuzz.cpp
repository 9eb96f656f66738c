// Hostile safetensors headers.
#include "formats/safetensors.h"

#include <cstddef>
#include <cstdint>
#include <span>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  berth::formats::MemorySource source({bytes.begin(), bytes.end()});
  (void)berth::formats::looks_like_safetensors(source);
  (void)berth::formats::read_safetensors(source, "fuzz");
  return 0;
}
