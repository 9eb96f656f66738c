// Writes small safetensors files, for tests and fuzz seeds of any module.
#pragma once

#include "base/json.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace berth::formats {

// The file, its tensors full of zeros.
class SafetensorsBuilder {
 public:
  // `bytes` of data; the caller makes them fit type and shape, or not.
  SafetensorsBuilder& tensor(std::string_view name, std::string_view type,
                             std::vector<std::uint64_t> shape, std::uint64_t bytes) {
    header_[name] = {{"dtype", type},
                     {"shape", json::value_from(std::move(shape))},
                     {"data_offsets", {size_, size_ + bytes}}};
    size_ += bytes;
    return *this;
  }
  // Of 16-bit elements.
  SafetensorsBuilder& bf16(std::string_view name, std::vector<std::uint64_t> shape) {
    std::uint64_t elements = 1;
    for (const std::uint64_t length : shape) elements *= length;
    return tensor(name, "BF16", std::move(shape), elements * 2);
  }
  SafetensorsBuilder& metadata(std::string_view key, std::string_view value) {
    auto& all = header_["__metadata__"];
    if (!all.is_object()) all = json::object{};
    all.get_object()[key] = value;
    return *this;
  }

  [[nodiscard]] std::string build() const { return with_header(to_text(header_)); }
  // The header alone; `build` behind it has the data.
  [[nodiscard]] std::string with_header(std::string_view header) const {
    std::string file;
    for (std::size_t i = 0; i < 8; ++i) file += static_cast<char>(header.size() >> (8 * i));
    file += header;
    file.append(size_, '\0');
    return file;
  }

 private:
  json::object header_;
  std::uint64_t size_ = 0;
};

}  // namespace berth::formats
