#include "gateway/vectors.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <iterator>

#include <sodium.h>

namespace berth::gateway {
namespace {

static_assert(std::endian::native == std::endian::little, "base64 carries the bytes as they are");

Result<std::vector<float>> from_base64(std::string_view text) {
  // One more: without any, there would be no memory to write to.
  std::vector<float> vector(text.size() / 4 * 3 / sizeof(float) + 1);
  std::size_t length = 0;
  const char* end = nullptr;
  const int failed = sodium_base642bin(reinterpret_cast<unsigned char*>(vector.data()),
                                       vector.size() * sizeof(float), text.data(), text.size(),
                                       nullptr, &length, &end, sodium_base64_VARIANT_ORIGINAL);
  if (failed != 0 || end != text.data() + text.size() || length % sizeof(float) != 0) {
    return fail(ErrorCode::corrupt, "the engine's embedding is no base64 of floats");
  }
  vector.resize(length / sizeof(float));
  return vector;
}

Result<std::vector<float>> from_numbers(const json::array& numbers) {
  std::vector<float> vector;
  vector.reserve(numbers.size());
  for (const auto& number : numbers) {
    if (!number.is_number()) {
      return fail(ErrorCode::corrupt, "the engine's embedding has what is no number");
    }
    vector.push_back(static_cast<float>(number.to_number<double>()));
  }
  return vector;
}

}  // namespace

Result<std::vector<float>> read_vector(const json::value& value) {
  Result<std::vector<float>> vector =
      value.is_string()  ? from_base64(value.get_string())
      : value.is_array() ? from_numbers(value.get_array())
                         : fail(ErrorCode::corrupt, "the engine's embedding is no vector");
  if (!vector) return vector;
  const auto is_finite = [](float number) { return std::isfinite(number); };
  if (vector->empty() || !std::all_of(vector->begin(), vector->end(), is_finite)) {
    return fail(ErrorCode::corrupt, "the engine's embedding has no finite numbers");
  }
  return vector;
}

Result<void> shorten(std::vector<float>& vector, std::size_t dimensions) {
  if (dimensions > vector.size()) {
    return fail(make_error(ErrorCode::invalid_parameter, "dimensions must be at most {} (got {})",
                           vector.size(), dimensions)
                    .with_field("dimensions"));
  }
  if (dimensions == vector.size()) return {};
  vector.resize(dimensions);
  double square = 0;
  for (const float number : vector) square += static_cast<double>(number) * number;
  if (square == 0) return {};
  for (float& number : vector) number = static_cast<float>(number / std::sqrt(square));
  return {};
}

void append_vector(std::string& text, const std::vector<float>& vector, bool base64) {
  if (!base64) {
    fmt::format_to(std::back_inserter(text), "[{}]", fmt::join(vector, ","));
    return;
  }
  constexpr int kVariant = sodium_base64_VARIANT_ORIGINAL;
  const std::size_t bytes = vector.size() * sizeof(float);
  std::string encoded(sodium_base64_ENCODED_LEN(bytes, kVariant), '\0');
  sodium_bin2base64(encoded.data(), encoded.size(),
                    reinterpret_cast<const unsigned char*>(vector.data()), bytes, kVariant);
  encoded.pop_back();  // the zero at its end
  text += '"' + encoded + '"';
}

}  // namespace berth::gateway
