// Writes small model.bin files of CTranslate2, for tests.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace berth::formats {

class CTranslate2Builder {
 public:
  explicit CTranslate2Builder(std::string_view specification, std::uint32_t version = 6) {
    put(version);
    put_name(specification);
    put(std::uint32_t{3});
  }

  CTranslate2Builder& variable(std::string_view name, const std::vector<std::uint32_t>& shape,
                               std::uint8_t type, std::uint32_t bytes) {
    ++count_;
    std::string& out = variables_;
    append(out, static_cast<std::uint16_t>(name.size() + 1));
    out += name;
    out += '\0';
    append(out, static_cast<std::uint8_t>(shape.size()));
    for (const std::uint32_t length : shape) append(out, length);
    append(out, type);
    append(out, bytes);
    out.append(bytes, 'w');
    return *this;
  }

  [[nodiscard]] std::string build() const {
    std::string out = head_;
    append(out, count_);
    return out + variables_;
  }

 private:
  template <class T>
  static void append(std::string& out, T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof(value));
  }
  template <class T>
  void put(T value) {
    append(head_, value);
  }
  void put_name(std::string_view name) {
    put(static_cast<std::uint16_t>(name.size() + 1));
    head_ += name;
    head_ += '\0';
  }

  std::string head_;
  std::string variables_;
  std::uint32_t count_ = 0;
};

// A Whisper as its converter writes it, with embeddings of `vocabulary` tokens and two elements
// each.
inline std::string small_whisper(std::uint32_t vocabulary = 51865) {
  constexpr std::uint8_t kHalf = 4;
  constexpr std::uint8_t kInt16 = 2;
  return CTranslate2Builder("WhisperSpec")
      .variable("decoder/activation", {}, 1, 1)
      .variable("decoder/embeddings/weight", {vocabulary, 2}, kHalf, vocabulary * 4)
      .variable("decoder/num_heads", {}, kInt16, 2)
      .build();
}

}  // namespace berth::formats
