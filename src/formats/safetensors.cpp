#include "formats/safetensors.h"

#include "base/json.h"
#include "formats/cursor.h"

#include <algorithm>
#include <array>
#include <limits>
#include <optional>

namespace berth::formats {
namespace {

// The format's own bound (safetensors, MAX_HEADER_SIZE).
constexpr std::uint64_t kMaxHeader = 100'000'000;
constexpr std::uint64_t kLengthBytes = 8;
constexpr std::size_t kMaxDimensions = 16;

struct ElementType {
  std::string_view name;
  std::uint32_t bits = 0;
};
constexpr auto kTypes = std::to_array<ElementType>({
    {"BOOL", 8},    {"U8", 8},   {"I8", 8},      {"F8_E5M2", 8}, {"F8_E4M3", 8},
    {"F8_E8M0", 8}, {"F4", 4},   {"F6_E2M3", 6}, {"I16", 16},    {"U16", 16},
    {"F6_E3M2", 6}, {"F16", 16}, {"BF16", 16},   {"I32", 32},    {"U32", 32},
    {"F32", 32},    {"C64", 64}, {"F64", 64},    {"I64", 64},    {"U64", 64},
});

// "tensor model.embed_tokens.weight: data_offsets: …"
template <class... Args>
tl::unexpected<Error> wrong(std::string_view tensor, fmt::format_string<Args...> format,
                            Args&&... args) {
  return fail(ErrorCode::corrupt, "tensor {}: {}", printable(tensor),
              fmt::format(format, std::forward<Args>(args)...));
}

std::optional<std::uint64_t> whole(const json::value& value) {
  if (value.is_uint64()) return value.get_uint64();
  if (value.is_int64() && value.get_int64() >= 0) {
    return static_cast<std::uint64_t>(value.get_int64());
  }
  return std::nullopt;
}

// A tensor with the range of its data, relative to the first byte behind the header.
struct Placed {
  SafetensorsTensor tensor;
  std::uint64_t begin = 0;
  std::uint64_t end = 0;
};

Result<void> read_shape(const json::object& entry, SafetensorsTensor& tensor) {
  const auto* shape = entry.if_contains("shape");
  if (shape == nullptr || !shape->is_array() || shape->get_array().size() > kMaxDimensions) {
    return wrong(tensor.name, "shape: it is no list of at most {} numbers", kMaxDimensions);
  }
  tensor.elements = 1;
  for (const auto& one : shape->get_array()) {
    const auto length = whole(one);
    if (!length) return wrong(tensor.name, "shape: it holds something that is no whole number");
    tensor.shape.push_back(*length);
    if (__builtin_mul_overflow(tensor.elements, *length, &tensor.elements)) {
      return wrong(tensor.name, "shape: its elements can not be counted in 64 bits");
    }
  }
  return {};
}

Result<Placed> read_tensor(std::string_view name, const json::value& value, std::uint64_t room) {
  Placed placed;
  SafetensorsTensor& tensor = placed.tensor;
  tensor.name = name;
  if (!value.is_object()) return wrong(name, "it is no object");
  const auto& entry = value.get_object();
  const auto* type = entry.if_contains("dtype");
  if (type == nullptr || !type->is_string()) return wrong(name, "dtype: it is missing or no text");
  tensor.type = std::string(type->get_string());
  const auto* known = std::ranges::find(kTypes, tensor.type, &ElementType::name);
  if (known == kTypes.end()) {
    return fail(ErrorCode::unsupported, "tensor {}: dtype: \"{}\" is not known", printable(name),
                printable(tensor.type));
  }
  BERTH_CHECK(read_shape(entry, tensor));
  const auto* offsets = entry.if_contains("data_offsets");
  const bool is_pair =
      offsets != nullptr && offsets->is_array() && offsets->get_array().size() == 2;
  const auto begin = is_pair ? whole(offsets->get_array()[0]) : std::nullopt;
  const auto end = is_pair ? whole(offsets->get_array()[1]) : std::nullopt;
  if (!begin || !end) return wrong(name, "data_offsets: it is no pair of whole numbers");
  if (*begin > *end || *end > room) {
    return wrong(name, "data_offsets: {} to {} is not inside the {} bytes of data", *begin, *end,
                 room);
  }
  tensor.bytes = *end - *begin;
  std::uint64_t bits = 0;
  const bool counted = !__builtin_mul_overflow(tensor.elements, std::uint64_t{known->bits}, &bits);
  if (!counted || bits % 8 != 0 || bits / 8 != tensor.bytes) {
    return wrong(name, "data_offsets: {} bytes do not fit {} elements of {}", tensor.bytes,
                 tensor.elements, tensor.type);
  }
  placed.begin = *begin;
  placed.end = *end;
  return placed;
}

Result<void> check_apart(const std::vector<Placed>& tensors) {
  std::vector<const Placed*> order;
  order.reserve(tensors.size());
  for (const auto& one : tensors) order.push_back(&one);
  std::ranges::sort(order, {}, [](const Placed* one) { return std::pair(one->begin, one->end); });
  for (std::size_t i = 1; i < order.size(); ++i) {
    if (order[i]->begin < order[i - 1]->end) {
      return wrong(order[i]->tensor.name, "data_offsets: it overlaps tensor {}",
                   printable(order[i - 1]->tensor.name));
    }
  }
  return {};
}

Result<std::uint64_t> header_length(ByteSource& source) {
  if (source.size() < kLengthBytes) {
    return fail(ErrorCode::corrupt, "it ends before the length of its header");
  }
  Cursor cursor(source);
  BERTH_TRY(const auto length, cursor.number<std::uint64_t>());
  if (length > kMaxHeader || length > source.size() - kLengthBytes) {
    return fail(ErrorCode::corrupt,
                "a header of {} bytes is more than the file or the format allow", length);
  }
  return length;
}

Result<SafetensorsFile> read(ByteSource& source) {
  BERTH_TRY(const auto length, header_length(source));
  BERTH_TRY(const auto bytes, source.read(kLengthBytes, length));
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  auto header = parse_json(text);
  if (!header) return fail(ErrorCode::corrupt, "header: {}", header.error().message);
  if (!header->is_object()) return fail(ErrorCode::corrupt, "header: it is no JSON object");
  SafetensorsFile file{.tensors = {}, .metadata = {}, .size = source.size()};
  const std::uint64_t room = source.size() - kLengthBytes - length;
  std::vector<Placed> placed;
  placed.reserve(header->get_object().size());
  for (const auto& [key, value] : header->get_object()) {
    if (key != "__metadata__") {
      BERTH_TRY(auto one, read_tensor(key, value, room));
      placed.push_back(std::move(one));
    } else if (value.is_object()) {
      for (const auto& [name, text_value] : value.get_object()) {
        if (text_value.is_string()) file.metadata[name] = std::string(text_value.get_string());
      }
    }
  }
  BERTH_CHECK(check_apart(placed));
  file.tensors.reserve(placed.size());
  for (auto& one : placed) file.tensors.push_back(std::move(one.tensor));
  return file;
}

}  // namespace

Result<SafetensorsFile> read_safetensors(ByteSource& source, std::string_view name) {
  auto file = read(source);
  if (!file) {
    Error error = std::move(file).error();
    error.message = fmt::format("{}: {}", name, error.message);
    return fail(std::move(error));
  }
  return file;
}

bool looks_like_safetensors(ByteSource& source) {
  if (source.size() <= kLengthBytes || !header_length(source)) return false;
  const auto first = source.read(kLengthBytes, 1);
  return first && first->front() == std::byte{'{'};
}

}  // namespace berth::formats
