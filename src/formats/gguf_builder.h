// GgufBuilder: writes small GGUF files in memory, for tests and fuzz seeds. Tensor data is zeros.
#pragma once

#include "formats/ggml_type.h"
#include "formats/gguf.h"

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace berth::formats {

class GgufBuilder {
 public:
  using Bytes = std::vector<std::byte>;

  std::uint32_t version = 3;
  std::uint64_t alignment = 32;  // of the layout; add "general.alignment" yourself if not 32
  // What the header says, where it shall not be the truth.
  std::optional<std::uint64_t> claimed_tensors;
  std::optional<std::uint64_t> claimed_keys;

  GgufBuilder& string(std::string_view key, std::string_view value) {
    begin_key(key, GgufValueType::string);
    append_string(keys_, value);
    return *this;
  }
  GgufBuilder& u16(std::string_view key, std::uint16_t value) {
    return scalar(key, GgufValueType::uint16, value);
  }
  GgufBuilder& u32(std::string_view key, std::uint32_t value) {
    return scalar(key, GgufValueType::uint32, value);
  }
  GgufBuilder& i32(std::string_view key, std::int32_t value) {
    return scalar(key, GgufValueType::int32, value);
  }
  GgufBuilder& u64(std::string_view key, std::uint64_t value) {
    return scalar(key, GgufValueType::uint64, value);
  }
  GgufBuilder& f32(std::string_view key, float value) {
    return scalar(key, GgufValueType::float32, value);
  }
  GgufBuilder& boolean(std::string_view key, bool value) {
    return scalar(key, GgufValueType::boolean, static_cast<std::uint8_t>(value));
  }
  GgufBuilder& u32_list(std::string_view key, const std::vector<std::uint32_t>& values) {
    begin_list(key, GgufValueType::uint32, values.size());
    for (const std::uint32_t value : values) append(keys_, value);
    return *this;
  }
  GgufBuilder& bool_list(std::string_view key, const std::vector<bool>& values) {
    begin_list(key, GgufValueType::boolean, values.size());
    for (const bool value : values) append(keys_, static_cast<std::uint8_t>(value));
    return *this;
  }
  // `count` short texts, such as a vocabulary.
  GgufBuilder& string_list(std::string_view key, std::uint64_t count) {
    begin_list(key, GgufValueType::string, count);
    for (std::uint64_t i = 0; i < count; ++i) append_string(keys_, "t");
    return *this;
  }
  // A key with a value of raw bytes, right or wrong.
  GgufBuilder& raw(std::string_view key, std::uint32_t type, const Bytes& value) {
    begin_key(key, static_cast<GgufValueType>(type));
    keys_.insert(keys_.end(), value.begin(), value.end());
    return *this;
  }

  // A tensor behind the ones before, with room for its data.
  GgufBuilder& tensor(std::string_view name, const std::vector<std::uint64_t>& shape,
                      std::uint32_t type = 0) {
    std::uint64_t elements = 1;
    for (const std::uint64_t length : shape) elements *= length;
    const GgmlType* found = ggml_type(type);
    const GgmlType known = found == nullptr ? GgmlType{} : *found;
    raw_tensor(name, shape, type, data_size_);
    const std::uint64_t bytes =
        (elements + known.block_elements - 1) / known.block_elements * known.block_bytes;
    data_size_ = (data_size_ + bytes + alignment - 1) / alignment * alignment;
    return *this;
  }
  // A table entry alone, right or wrong; no room is made.
  GgufBuilder& raw_tensor(std::string_view name, const std::vector<std::uint64_t>& shape,
                          std::uint32_t type, std::uint64_t offset) {
    append_string(tensors_, name);
    append(tensors_, static_cast<std::uint32_t>(shape.size()));
    for (const std::uint64_t length : shape) append(tensors_, length);
    append(tensors_, type);
    append(tensors_, offset);
    ++tensor_count_;
    return *this;
  }

  [[nodiscard]] Bytes build() const {
    Bytes out;
    for (const char c : {'G', 'G', 'U', 'F'}) out.push_back(static_cast<std::byte>(c));
    append(out, version);
    append(out, claimed_tensors.value_or(tensor_count_));
    append(out, claimed_keys.value_or(key_count_));
    out.insert(out.end(), keys_.begin(), keys_.end());
    out.insert(out.end(), tensors_.begin(), tensors_.end());
    if (tensor_count_ > 0) {
      out.resize((out.size() + alignment - 1) / alignment * alignment + data_size_);
    }
    return out;
  }

  // The same as text, for a file in memory.
  [[nodiscard]] std::string text() const {
    const Bytes bytes = build();
    // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes as characters
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }

  void write(const std::filesystem::path& path) const {
    std::ofstream(path, std::ios::binary) << text();
  }

  template <class T>
  static void append(Bytes& out, T value) {
    static_assert(std::is_trivially_copyable_v<T>);
    const std::size_t start = out.size();
    out.resize(start + sizeof(T));
    std::memcpy(out.data() + start, &value, sizeof(T));
  }
  static void append_string(Bytes& out, std::string_view text) {
    append(out, static_cast<std::uint64_t>(text.size()));
    for (const char c : text) out.push_back(static_cast<std::byte>(c));
  }

 private:
  template <class T>
  GgufBuilder& scalar(std::string_view key, GgufValueType type, T value) {
    begin_key(key, type);
    append(keys_, value);
    return *this;
  }
  void begin_key(std::string_view key, GgufValueType type) {
    append_string(keys_, key);
    append(keys_, static_cast<std::uint32_t>(type));
    ++key_count_;
  }
  void begin_list(std::string_view key, GgufValueType element, std::uint64_t count) {
    begin_key(key, GgufValueType::array);
    append(keys_, static_cast<std::uint32_t>(element));
    append(keys_, count);
  }

  Bytes keys_;
  Bytes tensors_;
  std::uint64_t key_count_ = 0;
  std::uint64_t tensor_count_ = 0;
  std::uint64_t data_size_ = 0;
};

// A language model in miniature: `layers` layers of attention, 8 heads and 2 KV heads of 16.
inline GgufBuilder small_model(std::string_view architecture = "llama", std::uint32_t layers = 2) {
  GgufBuilder builder;
  const std::string a = std::string(architecture) + ".";
  builder.string("general.architecture", architecture)
      .string("general.name", "Small One")
      .string("general.license", "mit")
      .u32("general.file_type", 15)
      .u32(a + "block_count", layers)
      .u32(a + "context_length", 4096)
      .u32(a + "embedding_length", 128)
      .u32(a + "feed_forward_length", 256)
      .u32(a + "attention.head_count", 8)
      .u32(a + "attention.head_count_kv", 2)
      .f32(a + "attention.layer_norm_rms_epsilon", 1e-5F)
      .string_list("tokenizer.ggml.tokens", 32)
      .string("tokenizer.chat_template", "{{ messages }}");
  builder.tensor("token_embd.weight", {128, 32}, 1);
  for (std::uint32_t i = 0; i < layers; ++i) {
    const std::string block = "blk." + std::to_string(i) + ".";
    builder.tensor(block + "attn_norm.weight", {128})
        .tensor(block + "attn_q.weight", {256, 64}, 12)
        .tensor(block + "ffn_down.weight", {256, 128}, 14);
  }
  return builder.tensor("output_norm.weight", {128});
}

// A model of `layers` layers with `of_layer` small tensors each, such as one of many experts.
inline GgufBuilder many_tensors(std::uint32_t layers, std::uint32_t of_layer) {
  GgufBuilder builder;
  builder.string("general.architecture", "llama").u32("llama.block_count", layers);
  for (std::uint32_t layer = 0; layer < layers; ++layer) {
    const std::string block = "blk." + std::to_string(layer) + ".ffn_gate.";
    for (std::uint32_t i = 0; i < of_layer; ++i) {
      builder.tensor(block + std::to_string(i) + ".weight", {8});
    }
  }
  return builder;
}

}  // namespace berth::formats
