#include "formats/gguf_parts.h"

#include "formats/cursor.h"

#include <utility>

namespace berth::formats {
namespace {

constexpr std::uint32_t kMaxParts = 10'000;

std::optional<std::uint32_t> five_digits(std::string_view text) {
  std::uint32_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<std::uint32_t>(c - '0');
  }
  return value;
}

std::string part_path(const SplitName& name, std::uint32_t number) {
  return fmt::format("{}-{:05}-of-{:05}.gguf", name.stem, number, name.count);
}

Result<GgufPart> read_other(const FileSet& files, std::string_view given, const SplitName& name,
                            std::uint32_t number) {
  const std::string path = part_path(name, number);
  auto part = read_part(files, path);
  if (!part && part.error().code == ErrorCode::not_found) {
    return fail(ErrorCode::not_found, "{}: part {} of {} is missing: there is no {}",
                files.locate(given), number, name.count, files.locate(path));
  }
  return part;
}

// Whether part `number` is what its name says, and of the same model as the first.
Result<void> check_part(const GgufPart& part, std::uint32_t number, std::uint32_t count,
                        const GgufPart& first) {
  const GgufMetadata& metadata = part.file.metadata;
  if (find_number(metadata, "split.no") != number - 1 ||
      find_number(metadata, "split.count") != count) {
    return fail(ErrorCode::corrupt,
                "{}: split.no: its name says part {} of {}, its content says otherwise", part.path,
                number, count);
  }
  const auto total = find_number(metadata, "split.tensors.count");
  const auto first_total = find_number(first.file.metadata, "split.tensors.count");
  if (total != first_total) {
    return fail(
        ErrorCode::corrupt,
        "{}: split.tensors.count: it is of a model of {} tensors, and the first part of one "
        "of {}: they are not of one model",
        part.path, total.value_or(0), first_total.value_or(0));
  }
  // Later parts of gguf-split's say nothing of the model.
  const std::string_view own = find_string(metadata, "general.architecture");
  const std::string_view architecture = find_string(first.file.metadata, "general.architecture");
  if (!own.empty() && own != architecture) {
    return fail(ErrorCode::corrupt,
                "{}: general.architecture: it is of a \"{}\", and the first part of a \"{}\": they "
                "are not of one model",
                part.path, printable(own), printable(architecture));
  }
  return {};
}

Result<void> check_total(const std::vector<GgufPart>& parts, std::string_view given) {
  const auto total = find_number(parts.front().file.metadata, "split.tensors.count");
  std::uint64_t sum = 0;
  for (const GgufPart& part : parts) sum += part.file.tensors.size();
  if (!total || sum == *total) return {};
  return fail(ErrorCode::corrupt,
              "{}: split.tensors.count: the parts hold {} tensors of {}: they are not all of one "
              "model",
              given, sum, *total);
}

}  // namespace

std::optional<SplitName> parse_split_name(std::string_view path) {
  constexpr std::string_view kTail = "-00001-of-00001.gguf";
  const std::size_t name = path.rfind('/') + 1;
  if (path.size() - name <= kTail.size() || !path.ends_with(".gguf")) return std::nullopt;
  const std::string_view tail = path.substr(path.size() - kTail.size());
  const auto number = five_digits(tail.substr(1, 5));
  const auto count = five_digits(tail.substr(10, 5));
  if (tail[0] != '-' || tail.substr(6, 4) != "-of-" || !number || !count) return std::nullopt;
  if (*number == 0 || *number > *count) return std::nullopt;
  return SplitName{.stem = std::string(path.substr(0, path.size() - kTail.size())),
                   .number = *number,
                   .count = *count};
}

Result<GgufPart> read_part(const FileSet& files, std::string_view path) {
  BERTH_TRY(auto source, files.open(path));
  std::string place = files.locate(path);
  BERTH_TRY(auto file, read_gguf(*source, place));
  return GgufPart{.path = std::move(place), .file = std::move(file)};
}

Result<std::vector<GgufPart>> read_parts(const FileSet& files, std::string_view path,
                                         GgufPart given) {
  const auto name = parse_split_name(path);
  const auto count = find_number(given.file.metadata, "split.count").value_or(1);
  std::vector<GgufPart> parts;
  if (count <= 1 && (!name || name->count == 1)) {
    parts.push_back(std::move(given));
    return parts;
  }
  if (count <= 1) {
    return fail(ErrorCode::corrupt,
                "{}: split.count: its name says part {} of {}, and its content that it is whole; "
                "if so, call it NAME.gguf",
                given.path, name->number, name->count);
  }
  if (count > kMaxParts || !name || name->count != count) {
    return fail(ErrorCode::corrupt,
                "{}: split.count says that this is one of {} parts, and parts are found by name: "
                "call it NAME-00001-of-{:05}.gguf, and the others likewise",
                given.path, count, count);
  }
  for (std::uint32_t number = 1; number <= name->count; ++number) {
    if (number == name->number) continue;
    BERTH_TRY(auto part, read_other(files, path, *name, number));
    parts.push_back(std::move(part));
  }
  parts.insert(parts.begin() + (name->number - 1), std::move(given));
  for (std::uint32_t number = 1; number <= name->count; ++number) {
    BERTH_CHECK(check_part(parts[number - 1], number, name->count, parts.front()));
  }
  BERTH_CHECK(check_total(parts, files.locate(path)));
  return parts;
}

}  // namespace berth::formats
