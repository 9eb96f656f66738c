// Any bytes, read as a GGUF file and profiled, give a profile or an error.
#include "base/describe.h"
#include "formats/profile.h"

#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace berth;
  const auto bytes = std::as_bytes(std::span(data, size));
  formats::MemorySource source({bytes.begin(), bytes.end()});
  auto file = formats::read_gguf(source, "fuzz.gguf");
  if (!file) {
    if (file.error().message.empty()) std::abort();
    return 0;
  }
  for (const formats::GgufTensor& tensor : file->tensors) {
    if (tensor.offset + tensor.bytes > size) std::abort();
  }
  const auto profile = formats::profile_of({{.path = "/fuzz.gguf", .file = *std::move(file)}});
  if (!profile) {
    if (profile.error().message.empty()) std::abort();
    return 0;
  }
  const auto& attention = profile->attention;
  if (attention.kv_heads.size() != profile->weights.layers.size()) std::abort();
  if (!attention.windowed.empty() && attention.windowed.size() != profile->layer_count) {
    std::abort();
  }
  static_cast<void>(json::serialize(to_json(*profile)));
  return 0;
}
