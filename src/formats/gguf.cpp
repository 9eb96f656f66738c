#include "formats/gguf.h"

#include "base/bytes.h"
#include "formats/cursor.h"

#include <algorithm>
#include <bit>
#include <functional>

#include <boost/sort/spreadsort/integer_sort.hpp>

namespace berth::formats {
namespace {

constexpr std::uint64_t kMaxKeys = 65'536;
constexpr std::uint64_t kMaxTensors = 1'000'000;
constexpr std::uint64_t kMaxKeyLength = 65'535;     // docs/gguf.md
constexpr std::uint64_t kMaxTensorName = 1'024;     // ggml itself allows 63
constexpr std::uint64_t kMaxText = 16ULL << 20;     // chat templates are some 100 KiB
constexpr std::uint64_t kMaxHeader = 512ULL << 20;  // the largest vocabularies take some 20 MiB
constexpr std::uint64_t kMaxAlignment = 1ULL << 20;
constexpr int kMaxDepth = 4;
// What one entry takes at least: key length, one character, type, one byte of value.
constexpr std::uint64_t kMinKeyBytes = 8 + 1 + 4 + 1;
// Name length, one character, dimensions, type, offset.
constexpr std::uint64_t kMinTensorBytes = 8 + 1 + 4 + 4 + 8;

// Puts "where: " before the message.
Error at(Error error, std::string_view where) {
  error.message = fmt::format("{}: {}", where, error.message);
  return error;
}

// Bytes of one element of a fixed size; 0 for strings, arrays and unknown types.
std::uint64_t element_size(GgufValueType type) {
  switch (type) {
    case GgufValueType::uint8:
    case GgufValueType::int8:
    case GgufValueType::boolean:
      return 1;
    case GgufValueType::uint16:
    case GgufValueType::int16:
      return 2;
    case GgufValueType::uint32:
    case GgufValueType::int32:
    case GgufValueType::float32:
      return 4;
    case GgufValueType::uint64:
    case GgufValueType::int64:
    case GgufValueType::float64:
      return 8;
    case GgufValueType::string:
    case GgufValueType::array:
      return 0;
  }
  return 0;
}

Result<GgufValueType> read_type(Cursor& cursor) {
  BERTH_TRY(const auto id, cursor.number<std::uint32_t>());
  if (id > static_cast<std::uint32_t>(GgufValueType::float64)) {
    return fail(ErrorCode::corrupt, "{} is no value type", id);
  }
  return static_cast<GgufValueType>(id);
}

template <class T>
Result<GgufValue> read_number(Cursor& cursor) {
  BERTH_TRY(const auto value, cursor.number<T>());
  if constexpr (std::is_floating_point_v<T>) {
    return GgufValue(static_cast<double>(value));
  } else if constexpr (std::is_signed_v<T>) {
    return GgufValue(static_cast<std::int64_t>(value));
  } else {
    return GgufValue(static_cast<std::uint64_t>(value));
  }
}

Result<GgufValue> read_scalar(Cursor& cursor, GgufValueType type) {
  switch (type) {
    case GgufValueType::uint8:
      return read_number<std::uint8_t>(cursor);
    case GgufValueType::int8:
      return read_number<std::int8_t>(cursor);
    case GgufValueType::uint16:
      return read_number<std::uint16_t>(cursor);
    case GgufValueType::int16:
      return read_number<std::int16_t>(cursor);
    case GgufValueType::uint32:
      return read_number<std::uint32_t>(cursor);
    case GgufValueType::int32:
      return read_number<std::int32_t>(cursor);
    case GgufValueType::float32:
      return read_number<float>(cursor);
    case GgufValueType::uint64:
      return read_number<std::uint64_t>(cursor);
    case GgufValueType::int64:
      return read_number<std::int64_t>(cursor);
    case GgufValueType::float64:
      return read_number<double>(cursor);
    case GgufValueType::boolean: {
      BERTH_TRY(const auto value, cursor.number<std::uint8_t>());
      if (value > 1) return fail(ErrorCode::corrupt, "a truth value is {}", value);
      return GgufValue(value == 1);
    }
    case GgufValueType::string: {
      BERTH_TRY(auto text, cursor.string(kMaxText));
      return GgufValue(std::move(text));
    }
    case GgufValueType::array:
      break;
  }
  return fail(ErrorCode::internal, "no scalar");
}

Result<void> check_header_length(const Cursor& cursor) {
  if (cursor.position() <= kMaxHeader) return {};
  return fail(ErrorCode::corrupt, "the header is longer than {}", Bytes{kMaxHeader});
}

// Reads an array's head and steps over its elements.
Result<GgufArray> read_array(Cursor& cursor, int depth) {
  GgufArray array;
  BERTH_TRY(array.element_type, read_type(cursor));
  BERTH_TRY(array.count, cursor.number<std::uint64_t>());
  array.offset = cursor.position();
  const std::uint64_t fixed = element_size(array.element_type);
  const bool nested = array.element_type == GgufValueType::array;
  const std::uint64_t least = fixed != 0 ? fixed : nested ? 12 : 8;
  if (array.count > cursor.remaining() / least) {
    return fail(ErrorCode::corrupt, "a list of {} entries does not fit into the file's {} bytes",
                array.count, array.offset + cursor.remaining());
  }
  if (fixed != 0 && array.count > kKeptElements) {
    BERTH_CHECK(cursor.skip(fixed * array.count));
    return array;
  }
  if (fixed != 0) {
    array.numbers.reserve(array.count);
    bool whole = true;
    for (std::uint64_t i = 0; i < array.count; ++i) {
      BERTH_TRY(const auto value, read_scalar(cursor, array.element_type));
      if (const auto* number = std::get_if<std::uint64_t>(&value)) {
        array.numbers.push_back(*number);
      } else if (const auto* truth = std::get_if<bool>(&value)) {
        array.numbers.push_back(*truth ? 1 : 0);
      } else if (const auto* sign = std::get_if<std::int64_t>(&value); sign && *sign >= 0) {
        array.numbers.push_back(static_cast<std::uint64_t>(*sign));
      } else {
        whole = false;
      }
    }
    if (!whole) array.numbers.clear();
    return array;
  }
  if (nested && depth >= kMaxDepth) {
    return fail(ErrorCode::corrupt, "lists are nested more than {} deep", kMaxDepth);
  }
  for (std::uint64_t i = 0; i < array.count; ++i) {
    if (nested) {
      BERTH_CHECK(read_array(cursor, depth + 1));
    } else {
      BERTH_CHECK(cursor.skip_string());
    }
    BERTH_CHECK(check_header_length(cursor));
  }
  return array;
}

Result<GgufValue> read_value(Cursor& cursor) {
  BERTH_TRY(const auto type, read_type(cursor));
  if (type != GgufValueType::array) return read_scalar(cursor, type);
  BERTH_TRY(auto array, read_array(cursor, 1));
  return GgufValue(std::move(array));
}

Result<void> read_metadata(Cursor& cursor, std::uint64_t count, GgufFile& file) {
  for (std::uint64_t i = 0; i < count; ++i) {
    auto key = cursor.string(kMaxKeyLength);
    if (!key) return fail(at(std::move(key).error(), fmt::format("key {}", i)));
    if (key->empty()) return fail(ErrorCode::corrupt, "key {}: its name is empty", i);
    auto value = read_value(cursor);
    if (!value) return fail(at(std::move(value).error(), printable(*key)));
    BERTH_CHECK(check_header_length(cursor));
    const auto [place, added] = file.metadata.try_emplace(*std::move(key), *std::move(value));
    if (!added)
      return fail(ErrorCode::corrupt, "{}: the key is there twice", printable(place->first));
  }
  return {};
}

template <class T>
T take_number(std::span<const std::byte>& bytes) {
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  bytes = bytes.subspan(sizeof(T));
  return value;
}

// Sets dimensions and elements of `tensor` from the lengths at the front of `fields`.
Result<void> read_shape(std::span<const std::byte>& fields, GgufTensor& tensor) {
  tensor.elements = 1;
  for (std::uint32_t d = 0; d < tensor.dimensions; ++d) {
    const auto length = take_number<std::uint64_t>(fields);
    if (length == 0) return fail(ErrorCode::corrupt, "dimension {} is 0", d + 1);
    // 2^56 elements of 8 bytes still fit 64 bits with room for offsets.
    if (length > (1ULL << 56) / tensor.elements) {
      return fail(ErrorCode::corrupt, "its dimensions multiply to more than 2^56 elements");
    }
    tensor.shape[d] = length;
    tensor.elements *= length;
  }
  return {};
}

// Fills `tensor` after its name; the offset is still relative to the data.
Result<void> read_tensor(Cursor& cursor, std::uint64_t alignment, GgufTensor& tensor) {
  BERTH_TRY(tensor.dimensions, cursor.number<std::uint32_t>());
  if (tensor.dimensions > tensor.shape.size()) {
    return fail(ErrorCode::corrupt, "{} dimensions, 4 are allowed", tensor.dimensions);
  }
  // The rest has a known length, and is taken at once: lengths, type and offset.
  BERTH_TRY(auto fields, cursor.take(8ULL * tensor.dimensions + 4 + 8));
  BERTH_CHECK(read_shape(fields, tensor));
  const auto type = take_number<std::uint32_t>(fields);
  const GgmlType* known = ggml_type(type);
  if (known == nullptr) {
    return fail(ErrorCode::unsupported,
                "element type {} is unknown: the file is broken, or newer than this Berth", type);
  }
  tensor.type = *known;
  if (tensor.shape[0] % known->block_elements != 0) {
    return fail(ErrorCode::corrupt, "rows of {} elements do not divide into {} blocks of {}",
                tensor.shape[0], known->name, known->block_elements);
  }
  tensor.bytes = tensor.elements / known->block_elements * known->block_bytes;
  tensor.offset = take_number<std::uint64_t>(fields);
  if (tensor.offset % alignment != 0) {
    return fail(ErrorCode::corrupt, "its offset {} is not a multiple of the alignment {}",
                tensor.offset, alignment);
  }
  return {};
}

// Fails where two tensors have one name. `hashes` are those of the names: sorting these is several
// times as fast as filling a set, and a file that makes them equal on purpose gains nothing but a
// sort of the names themselves.
Result<void> check_names(const std::vector<GgufTensor>& tensors, std::vector<std::size_t> hashes) {
  boost::sort::spreadsort::integer_sort(hashes.begin(), hashes.end());
  if (std::ranges::adjacent_find(hashes) == hashes.end()) return {};
  std::vector<std::string_view> names;
  names.reserve(tensors.size());
  for (const GgufTensor& tensor : tensors) names.emplace_back(tensor.name);
  std::ranges::sort(names);
  const auto twice = std::ranges::adjacent_find(names);
  if (twice == names.end()) return {};
  return fail(ErrorCode::corrupt, "tensor {}: the name is there twice", printable(*twice));
}

Result<void> read_tensors(Cursor& cursor, std::uint64_t count, GgufFile& file) {
  file.tensors.reserve(count);
  std::vector<std::size_t> hashes;
  hashes.reserve(count);
  for (std::uint64_t i = 0; i < count; ++i) {
    GgufTensor& tensor = file.tensors.emplace_back();
    auto name = cursor.text(kMaxTensorName);
    if (!name) return fail(at(std::move(name).error(), fmt::format("tensor {}", i)));
    tensor.name = *name;
    if (auto done = read_tensor(cursor, file.alignment, tensor); !done) {
      return fail(at(std::move(done).error(), "tensor " + printable(tensor.name)));
    }
    hashes.push_back(std::hash<std::string_view>()(tensor.name));
  }
  BERTH_CHECK(check_names(file.tensors, std::move(hashes)));
  return check_header_length(cursor);
}

// Makes offsets absolute; checks that every tensor is inside the file.
Result<void> place_tensors(GgufFile& file) {
  const GgufTensor* last = nullptr;
  for (GgufTensor& tensor : file.tensors) {
    if (tensor.offset > (1ULL << 62)) {
      return fail(ErrorCode::corrupt, "tensor {}: data begins at byte {} but the file has {}",
                  printable(tensor.name), tensor.offset, file.size);
    }
    tensor.offset += file.data_offset;
    if (last == nullptr || tensor.offset + tensor.bytes > last->offset + last->bytes) {
      last = &tensor;
    }
  }
  if (last != nullptr && last->offset + last->bytes > file.size) {
    const std::uint64_t end = last->offset + last->bytes;
    return fail(ErrorCode::corrupt,
                "tensor {}: data ends at byte {} but the file has {}; it is truncated, {} bytes "
                "are missing",
                printable(last->name), end, file.size, end - file.size);
  }
  return {};
}

bool is_behind(const GgufTensor& tensor, const GgufTensor& before) {
  return before.offset + before.bytes <= tensor.offset;
}

// Checks that no two share a byte. Most files have their tensors in order, and then one look tells.
Result<void> check_apart(const std::vector<GgufTensor>& tensors) {
  const auto touch = [](const GgufTensor& before, const GgufTensor& tensor) {
    return !is_behind(tensor, before);
  };
  if (std::ranges::adjacent_find(tensors, touch) == tensors.end()) return {};
  std::vector<const GgufTensor*> order;
  order.reserve(tensors.size());
  for (const GgufTensor& tensor : tensors) order.push_back(&tensor);
  std::ranges::sort(order, {}, &GgufTensor::offset);
  for (std::size_t i = 1; i < order.size(); ++i) {
    if (!is_behind(*order[i], *order[i - 1])) {
      return fail(ErrorCode::corrupt, "tensor {}: its data overlaps that of {}",
                  printable(order[i]->name), printable(order[i - 1]->name));
    }
  }
  return {};
}

Result<std::uint32_t> read_version(Cursor& cursor) {
  BERTH_TRY(const auto version, cursor.number<std::uint32_t>());
  if ((version & 0xFFFFU) == 0) {
    return fail(ErrorCode::unsupported,
                "this is a big-endian GGUF file; Berth reads little-endian ones, convert it");
  }
  if (version == 1) {
    return fail(ErrorCode::unsupported,
                "this is GGUF version 1, which engines no longer read; convert the model again");
  }
  if (version != 2 && version != 3) {
    return fail(ErrorCode::unsupported, "GGUF version {} is unknown; versions 2 and 3 are read",
                version);
  }
  return version;
}

Result<std::uint64_t> read_alignment(const GgufMetadata& metadata) {
  if (!metadata.contains("general.alignment")) return 32;
  const auto value = find_number(metadata, "general.alignment");
  if (!value || !std::has_single_bit(*value) || *value > kMaxAlignment) {
    return fail(ErrorCode::corrupt, "general.alignment: not a power of two up to {}",
                kMaxAlignment);
  }
  return *value;
}

Result<void> check_magic(Cursor& cursor) {
  BERTH_TRY(const auto begin, cursor.take(std::min<std::uint64_t>(8, cursor.remaining())));
  std::string text;
  for (const std::byte byte : begin) text += static_cast<char>(byte);
  if (text.starts_with("GGUF")) return {};
  const bool readable =
      !text.empty() && std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
  std::string shown = text.empty() ? "is empty" : "begins with";
  if (readable) shown += fmt::format(" \"{}\"", text);
  for (std::size_t i = 0; !readable && i < text.size(); ++i) {
    shown += fmt::format(" {:02x}", static_cast<unsigned char>(text[i]));
  }
  return fail(ErrorCode::unsupported, "this is no GGUF file: it {}; Berth serves GGUF files today",
              shown);
}

Result<GgufFile> read_all(ByteSource& source) {
  Cursor start(source);
  BERTH_CHECK(check_magic(start));
  Cursor cursor(source);
  BERTH_CHECK(cursor.skip(4));
  GgufFile file;
  file.size = source.size();
  BERTH_TRY(file.version, read_version(cursor));
  BERTH_TRY(const auto tensors, cursor.number<std::uint64_t>());
  BERTH_TRY(const auto keys, cursor.number<std::uint64_t>());
  if (tensors > kMaxTensors || tensors > cursor.remaining() / kMinTensorBytes) {
    return fail(ErrorCode::corrupt, "tensor count: {} tensors do not fit into a file of {} bytes",
                tensors, file.size);
  }
  if (keys > kMaxKeys || keys > cursor.remaining() / kMinKeyBytes) {
    return fail(ErrorCode::corrupt, "metadata count: {} keys do not fit into a file of {} bytes",
                keys, file.size);
  }
  BERTH_CHECK(read_metadata(cursor, keys, file));
  BERTH_TRY(file.alignment, read_alignment(file.metadata));
  BERTH_CHECK(read_tensors(cursor, tensors, file));
  file.data_offset = (cursor.position() + file.alignment - 1) / file.alignment * file.alignment;
  BERTH_CHECK(place_tensors(file));
  BERTH_CHECK(check_apart(file.tensors));
  return file;
}

}  // namespace

Result<GgufFile> read_gguf(ByteSource& source, std::string_view name) {
  auto file = read_all(source);
  if (!file) return fail(at(std::move(file).error(), name));
  return file;
}

bool looks_like_gguf(ByteSource& source) {
  if (source.size() < 4) return false;
  const auto begin = source.read(0, 4);
  return begin && std::memcmp(begin->data(), "GGUF", 4) == 0;
}

std::optional<std::uint64_t> find_number(const GgufMetadata& metadata, std::string_view key) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) return std::nullopt;
  if (const auto* number = std::get_if<std::uint64_t>(&found->second)) return *number;
  if (const auto* truth = std::get_if<bool>(&found->second)) return *truth ? 1 : 0;
  const auto* sign = std::get_if<std::int64_t>(&found->second);
  if (sign != nullptr && *sign >= 0) return static_cast<std::uint64_t>(*sign);
  return std::nullopt;
}

std::string_view find_string(const GgufMetadata& metadata, std::string_view key) {
  const auto found = metadata.find(key);
  if (found == metadata.end()) return {};
  const auto* text = std::get_if<std::string>(&found->second);
  return text != nullptr ? std::string_view(*text) : std::string_view{};
}

const GgufArray* find_array(const GgufMetadata& metadata, std::string_view key) {
  const auto found = metadata.find(key);
  return found == metadata.end() ? nullptr : std::get_if<GgufArray>(&found->second);
}

}  // namespace berth::formats
