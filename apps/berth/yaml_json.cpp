#include "yaml_json.h"

#include "base/files.h"

#include <charconv>

#include <yaml-cpp/yaml.h>

namespace berth::app {
namespace {

constexpr int kMaxDepth = 32;
constexpr Bytes kLargestFile = 1_MiB;

template <class Number>
bool read_whole(const std::string& text, Number& number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc{} && end == text.data() + text.size();
}

Result<json::value> convert(const YAML::Node& node, int depth) {
  if (depth > kMaxDepth) return fail(ErrorCode::invalid_parameter, "nested too deeply");
  switch (node.Type()) {
    case YAML::NodeType::Scalar:
      // A quoted scalar has the tag "!" and stays a text.
      if (node.Tag() == "!") return json::value(json::string(node.Scalar()));
      return scalar_to_json(node.Scalar());
    case YAML::NodeType::Sequence: {
      json::array array;
      for (const auto& element : node) {
        BERTH_TRY(json::value value, convert(element, depth + 1));
        array.push_back(std::move(value));
      }
      return json::value(std::move(array));
    }
    case YAML::NodeType::Map: {
      json::object object;
      for (const auto& member : node) {
        const std::string key = member.first.Scalar();
        if (object.contains(key)) {
          return fail(ErrorCode::invalid_parameter, "the key \"{}\" is there twice", key);
        }
        BERTH_TRY(object[key], convert(member.second, depth + 1));
      }
      return json::value(std::move(object));
    }
    case YAML::NodeType::Null:
    case YAML::NodeType::Undefined:
      break;
  }
  return json::value(nullptr);
}

}  // namespace

json::value scalar_to_json(const std::string& text) {
  if (text == "true") return true;
  if (text == "false") return false;
  if (text == "null" || text == "~" || text.empty()) return nullptr;
  if (std::int64_t whole = 0; read_whole(text, whole)) return whole;
  if (double number = 0; read_whole(text, number)) return number;
  return json::string(text);
}

Result<json::value> read_yaml_file(const std::filesystem::path& path) {
  BERTH_TRY(const std::string text, read_file(path, kLargestFile));
  try {
    auto value = convert(YAML::Load(text), 0);
    if (!value) return fail(std::move(value).error().context("{}", path.string()));
    return value;
  } catch (const YAML::Exception& error) {
    return fail(ErrorCode::invalid_parameter, "{}, line {}, column {}: {}", path.string(),
                error.mark.line + 1, error.mark.column + 1, error.msg);
  }
}

}  // namespace berth::app
