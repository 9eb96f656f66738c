#include "base/files.h"
#include "text/yaml.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <sstream>

#include <yaml-cpp/yaml.h>

namespace berth::text {
namespace {

constexpr int kMaxDepth = 32;
constexpr int kMaxNodes = 100'000;  // aliases can make a small text very large
constexpr Bytes kLargestFile = 4_MiB;

template <class Number>
bool read_whole(const std::string& text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size();
}

tl::unexpected<Error> fail_at(const YAML::Mark& mark, std::string message) {
  if (mark.line < 0) return fail(ErrorCode::invalid_parameter, "{}", message);
  return fail(ErrorCode::invalid_parameter, "line {}, column {}: {}", mark.line + 1,
              mark.column + 1, message);
}

// The length of the well-formed UTF-8 sequence that `text` begins with (RFC 3629); 0 where there is
// none.
std::size_t sequence_length(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4) return 0;
  const unsigned least = first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
  const unsigned most = first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
  if (byte(1) < least || byte(1) > most) return 0;
  for (std::size_t i = 2; i < length; ++i) {
    if ((byte(i) & 0xC0U) != 0x80) return 0;
  }
  return length;
}

Result<void> check_utf8(std::string_view text) {
  int line = 1;
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    if (length == 0) {
      return fail(ErrorCode::invalid_parameter, "line {}: the text is not UTF-8", line);
    }
    if (text.front() == '\n') ++line;
    text.remove_prefix(length);
  }
  return {};
}

class Converter {
 public:
  Result<YamlDocument> convert(const YAML::Node& root) {
    document_.line = root.Mark().line + 1;
    BERTH_TRY(document_.value, read(root, "", 0));
    return std::move(document_);
  }

 private:
  Result<json::value> read(const YAML::Node& node, const std::string& path, int depth) {
    if (depth > kMaxDepth) return fail_at(node.Mark(), "nested too deeply");
    if (++nodes_ > kMaxNodes) return fail_at(node.Mark(), "too many values");
    if (!path.empty()) document_.lines.try_emplace(path, node.Mark().line + 1);
    switch (node.Type()) {
      case YAML::NodeType::Scalar:
        return read_scalar(node);
      case YAML::NodeType::Sequence:
        return read_sequence(node, path, depth);
      case YAML::NodeType::Map:
        return read_map(node, path, depth);
      case YAML::NodeType::Null:
      case YAML::NodeType::Undefined:
        break;
    }
    return json::value(nullptr);
  }

  static Result<json::value> read_scalar(const YAML::Node& node) {
    const std::string& tag = node.Tag();
    constexpr std::string_view kCore = "tag:yaml.org,2002:";
    // What is quoted has the tag "!" and stays a text.
    if (tag == "!" || tag == "tag:yaml.org,2002:str") {
      return json::value(json::string(node.Scalar()));
    }
    if (!tag.empty() && tag != "?" && !tag.starts_with(kCore)) {
      return fail_at(node.Mark(), fmt::format("the tag {} is not known here", tag));
    }
    return scalar_to_json(node.Scalar());
  }

  Result<json::value> read_sequence(const YAML::Node& node, const std::string& path, int depth) {
    json::array array;
    for (const auto& element : node) {
      BERTH_TRY(auto value, read(element, fmt::format("{}[{}]", path, array.size()), depth + 1));
      array.push_back(std::move(value));
    }
    return json::value(std::move(array));
  }

  Result<json::value> read_map(const YAML::Node& node, const std::string& path, int depth) {
    json::object object;
    for (const auto& member : node) {
      const auto mark = member.first.Mark();
      if (!member.first.IsScalar()) return fail_at(mark, "a key must be a text");
      const std::string& key = member.first.Scalar();
      if (object.contains(key)) {
        return fail_at(mark, fmt::format("the key \"{}\" is there twice", key));
      }
      const std::string inner = path.empty() ? key : fmt::format("{}.{}", path, key);
      document_.lines.try_emplace(inner, mark.line + 1);
      BERTH_TRY(object[key], read(member.second, inner, depth + 1));
    }
    return json::value(std::move(object));
  }

  YamlDocument document_;
  int nodes_ = 0;
};

}  // namespace

int YamlDocument::line_of(std::string_view path) const {
  for (;;) {
    if (const auto found = lines.find(path); found != lines.end()) return found->second;
    const auto end = path.find_last_of(".[");
    if (end == std::string_view::npos) return line;
    path = path.substr(0, end);
  }
}

json::value scalar_to_json(const std::string& text) {
  if (text == "true") return true;
  if (text == "false") return false;
  if (text == "null" || text == "~" || text.empty()) return nullptr;
  if (std::int64_t whole = 0; read_whole(text, whole)) return whole;
  if (std::uint64_t whole = 0; read_whole(text, whole)) return whole;
  if (double number = 0; read_whole(text, number) && std::isfinite(number)) return number;
  return json::string(text);
}

Result<std::vector<YamlDocument>> parse_yaml(std::string_view text) {
  BERTH_CHECK(check_utf8(text));
  std::vector<YamlDocument> documents;
  try {
    std::istringstream stream{std::string(text)};
    for (const YAML::Node& root : YAML::LoadAll(stream)) {
      BERTH_TRY(auto document, Converter().convert(root));
      documents.push_back(std::move(document));
    }
  } catch (const YAML::Exception& error) {
    return fail_at(error.mark, error.msg);
  }
  return documents;
}

Result<json::value> read_yaml_file(const std::filesystem::path& path) {
  BERTH_TRY(const std::string text, read_file(path, kLargestFile));
  auto documents = parse_yaml(text);
  if (!documents) return fail(std::move(documents).error().context("{}", path.string()));
  if (documents->size() > 1) {
    return fail(ErrorCode::invalid_parameter, "{} must hold one document, not {}", path.string(),
                documents->size());
  }
  return documents->empty() ? json::value(nullptr) : std::move(documents->front().value);
}

}  // namespace berth::text
