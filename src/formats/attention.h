// From a model's metadata to what its caches depend on: heads, windows, recurrent state. Internal
// to formats.
#pragma once

#include "formats/gguf.h"
#include "model/profile.h"

#include <optional>
#include <string>
#include <string_view>

namespace berth::formats {

// The keys of one architecture: `number("block_count")` reads "llama.block_count".
class Hyperparameters {
 public:
  Hyperparameters(const GgufMetadata& metadata, std::string architecture)
      : metadata_(metadata), architecture_(std::move(architecture)) {}

  [[nodiscard]] const std::string& architecture() const { return architecture_; }
  [[nodiscard]] std::string key(std::string_view name) const {
    return architecture_ + "." + std::string(name);
  }
  [[nodiscard]] bool has(std::string_view name) const { return metadata_.contains(key(name)); }

  // Absent: `fallback`. Fails with corrupt where it is no whole number of 32 bits.
  [[nodiscard]] Result<std::uint32_t> number(std::string_view name,
                                             std::uint32_t fallback = 0) const;
  // One value a layer, from a list or one number for all; empty where absent. Fails with corrupt
  // where the list is shorter than `layers` or not of whole numbers of 32 bits.
  [[nodiscard]] Result<std::vector<std::uint32_t>> per_layer(std::string_view name,
                                                             std::uint32_t layers) const;
  [[nodiscard]] bool is_list(std::string_view name) const {
    return find_array(metadata_, key(name)) != nullptr;
  }

 private:
  const GgufMetadata& metadata_;
  std::string architecture_;
};

struct CacheShapes {
  model::AttentionShape attention;
  model::RecurrentShape recurrent;
};

// What the engine keeps for each sequence. `layers` counts every block of the file.
Result<CacheShapes> cache_shapes(const Hyperparameters& keys, std::uint32_t layers,
                                 std::uint32_t embedding_length);

}  // namespace berth::formats
