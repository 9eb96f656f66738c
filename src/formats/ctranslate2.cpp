#include "formats/ctranslate2.h"

#include "formats/cursor.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <limits>
#include <vector>

namespace berth::formats {
namespace {

// Versions below have no specification's name, versions above are not invented yet: a number
// outside is another kind of file.
constexpr std::uint32_t kFirstVersion = 2;
constexpr std::uint32_t kLastVersion = 64;
// From here on a variable has a type and its length in bytes, before only a length of its elements.
constexpr std::uint32_t kTypedVersion = 4;
constexpr std::size_t kLongestName = 64;
constexpr std::uint8_t kMostDimensions = 8;
constexpr std::uint64_t kTooMany = std::numeric_limits<std::uint64_t>::max();
// Variables are sorted by name, and "decoder/embeddings/weight" is among the first of a decoder.
constexpr std::uint32_t kVariablesToRead = 64;
constexpr std::string_view kEmbeddings = "decoder/embeddings/weight";

// CTranslate2, include/ctranslate2/types.h, DataType.
struct Type {
  std::string_view name;
  std::uint8_t bytes;
};
constexpr auto kTypes = std::to_array<Type>({
    {.name = "F32", .bytes = 4},
    {.name = "INT8", .bytes = 1},
    {.name = "INT16", .bytes = 2},
    {.name = "INT32", .bytes = 4},
    {.name = "F16", .bytes = 2},
    {.name = "BF16", .bytes = 2},
});

// A length that counts the zero at the end, and that many bytes.
Result<std::string> read_name(Cursor& cursor) {
  BERTH_TRY(const auto length, cursor.number<std::uint16_t>());
  BERTH_TRY(const auto bytes, cursor.take(length));
  std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  while (text.ends_with('\0')) text.pop_back();
  return text;
}

bool is_specification(std::string_view name) {
  return name.size() > 4 && name.size() <= kLongestName && name.ends_with("Spec") &&
         std::ranges::all_of(name, [](unsigned char c) { return std::isalnum(c) != 0; });
}

struct Variable {
  std::string name;
  std::vector<std::uint32_t> shape;
  std::uint8_t type = 0;
};

// Steps over a variable's data.
Result<Variable> read_variable(Cursor& cursor) {
  Variable variable;
  BERTH_TRY(variable.name, read_name(cursor));
  BERTH_TRY(const auto rank, cursor.number<std::uint8_t>());
  if (rank > kMostDimensions) {
    return fail(ErrorCode::corrupt, "{}: {} dimensions are more than {}", printable(variable.name),
                rank, kMostDimensions);
  }
  std::uint64_t bytes = 1;
  for (std::uint8_t i = 0; i < rank; ++i) {
    BERTH_TRY(const auto length, cursor.number<std::uint32_t>());
    variable.shape.push_back(length);
    // The size below has 32 bits: what overflows here cannot match it.
    if (__builtin_mul_overflow(bytes, length, &bytes)) bytes = kTooMany;
  }
  BERTH_TRY(variable.type, cursor.number<std::uint8_t>());
  BERTH_TRY(const auto size, cursor.number<std::uint32_t>());
  if (variable.type >= kTypes.size() || bytes * kTypes[variable.type].bytes != size) {
    return fail(ErrorCode::corrupt, "{}: {} bytes do not fit its type and shape",
                printable(variable.name), size);
  }
  BERTH_CHECK(cursor.skip(size));
  return variable;
}

Result<void> add_embeddings(Cursor& cursor, CTranslate2Model& model) {
  BERTH_TRY(const auto count, cursor.number<std::uint32_t>());
  for (std::uint32_t i = 0; i < std::min(count, kVariablesToRead); ++i) {
    BERTH_TRY(const auto variable, read_variable(cursor));
    if (variable.name > kEmbeddings) return {};
    if (variable.name != kEmbeddings || variable.shape.size() != 2) continue;
    model.vocabulary = variable.shape[0];
    model.embedding_length = variable.shape[1];
    model.weight_type = kTypes[variable.type].name;
    return {};
  }
  return {};
}

}  // namespace

Result<std::optional<CTranslate2Model>> read_ctranslate2(ByteSource& source) {
  constexpr std::uint64_t kSmallest = 3 * sizeof(std::uint32_t) + sizeof(std::uint16_t);
  if (source.size() < kSmallest) return std::nullopt;
  Cursor cursor(source);
  BERTH_TRY(const auto version, cursor.number<std::uint32_t>());
  if (version < kFirstVersion || version > kLastVersion) return std::nullopt;
  auto name = read_name(cursor);
  if (!name && name.error().code != ErrorCode::corrupt) return fail(std::move(name).error());
  if (!name || !is_specification(*name)) return std::nullopt;
  CTranslate2Model model{.specification = *std::move(name)};
  BERTH_TRY(model.revision, cursor.number<std::uint32_t>());
  if (version >= kTypedVersion) BERTH_CHECK(add_embeddings(cursor, model));
  return model;
}

}  // namespace berth::formats
