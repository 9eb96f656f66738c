// Bytes: an amount of memory or storage. A unit in the type, so that no suffix is needed in a name.
#pragma once

#include "base/result.h"

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace berth {

struct Bytes {
  std::uint64_t count = 0;

  friend constexpr auto operator<=>(const Bytes&, const Bytes&) = default;
  constexpr Bytes& operator+=(Bytes other) {
    count += other.count;
    return *this;
  }
  // Never below zero: what is left of `this` after `other` is taken.
  constexpr Bytes& operator-=(Bytes other) {
    count = count > other.count ? count - other.count : 0;
    return *this;
  }
  friend constexpr Bytes operator+(Bytes a, Bytes b) { return a += b; }
  friend constexpr Bytes operator-(Bytes a, Bytes b) { return a -= b; }
  friend constexpr Bytes operator*(Bytes a, std::uint64_t factor) { return {a.count * factor}; }
};

constexpr Bytes operator""_B(unsigned long long n) { return {n}; }
constexpr Bytes operator""_KiB(unsigned long long n) { return {n << 10}; }
constexpr Bytes operator""_MiB(unsigned long long n) { return {n << 20}; }
constexpr Bytes operator""_GiB(unsigned long long n) { return {n << 30}; }

// "253.1 MiB", "1.5 GiB", "12 B": for people, in powers of 1024.
std::string to_string(Bytes bytes);

// Reads "24GiB", "512 MiB", "1.5G", "4096": a number with an optional unit (B, K, KB, KiB, … T);
// decimal and binary units alike are powers of 1024. Fails with invalid_parameter.
Result<Bytes> parse_bytes(std::string_view text);

}  // namespace berth

template <>
struct fmt::formatter<berth::Bytes> : fmt::formatter<std::string> {
  template <class Context>
  auto format(berth::Bytes bytes, Context& context) const {
    return fmt::formatter<std::string>::format(berth::to_string(bytes), context);
  }
};
