// A folder with a config.json, weights and an index of any bytes gives a profile, none, or an
// error. The input is three files one after the other, cut at two zero bytes.
#include "base/describe.h"
#include "formats/audio_layout.h"
#include "formats/diffusion_layout.h"
#include "formats/hugging_face.h"
#include "formats/safetensors.h"

#include <cstdlib>
#include <string>
#include <string_view>

namespace {

using namespace berth;

// Whatever is said must be sayable.
void check(const Result<std::optional<model::ModelProfile>>& profile) {
  if (!profile) {
    if (profile.error().message.empty()) std::abort();
    return;
  }
  if (!*profile) return;
  const auto& attention = (*profile)->attention;
  if (!attention.windowed.empty() && attention.windowed.size() != attention.kv_heads.size()) {
    std::abort();
  }
  static_cast<void>(json::serialize(to_json(**profile)));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto next = [&text] {
    const std::size_t cut = std::min(text.find(std::string_view("\0\0", 2)), text.size());
    const std::string part(text.substr(0, cut));
    text.remove_prefix(std::min(cut + 2, text.size()));
    return part;
  };
  const std::string config = next();
  const std::string index = next();
  const std::string weights(text);
  formats::MemorySource source(
      {reinterpret_cast<const std::byte*>(weights.data()),
       reinterpret_cast<const std::byte*>(weights.data()) + weights.size()});
  static_cast<void>(formats::looks_like_safetensors(source));
  static_cast<void>(formats::read_safetensors(source, "fuzz.safetensors"));
  const auto plain =
      formats::files_in_memory({{"config.json", config}, {"model.safetensors", weights}});
  const auto indexed = formats::files_in_memory({{"config.json", config},
                                                 {"model.safetensors.index.json", index},
                                                 {"model.safetensors", weights},
                                                 {"1_Pooling/config.json", index},
                                                 {"tokenizer_config.json", index}});
  const auto others =
      formats::files_in_memory({{"config.json", config},
                                {"configuration.json", config},
                                {"cosyvoice.yaml", config},
                                {"model_index.json", index},
                                {"preprocessor_config.json", index},
                                {"tokenizer.json", "{}"},
                                {"model.bin", weights},
                                {"unet/diffusion_pytorch_model.safetensors", weights},
                                {"vae/diffusion_pytorch_model.safetensors", weights}});
  check(formats::profile_hugging_face(*plain));
  check(formats::profile_hugging_face(*indexed));
  check(formats::profile_audio(*others));
  check(formats::profile_diffusion(*others));
  return 0;
}
