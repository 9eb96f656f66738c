#include "text/documents.h"

namespace berth::text {

// A JSON text is valid YAML but for a few escapes; the stricter parser also says more.
Result<std::vector<YamlDocument>> parse_documents(std::string_view content) {
  const auto first = content.find_first_not_of(" \t\r\n");
  const bool like_json = first != std::string_view::npos && content[first] == '{';
  if (like_json) {
    if (auto value = parse_json(content)) {
      std::vector<YamlDocument> documents(1);
      documents.front().value = std::move(*value);
      return documents;
    }
  }
  return parse_yaml(content);
}

Result<YamlDocument> parse_only(std::string_view content, std::string_view file) {
  auto documents = parse_documents(content);
  if (!documents) return fail(std::move(documents).error().context("{}", file));
  if (documents->size() > 1) {
    return fail(ErrorCode::invalid_parameter, "{} must hold one document, not {}", file,
                documents->size());
  }
  return documents->empty() ? YamlDocument{} : std::move(documents->front());
}

Error at_line(Error error, const YamlDocument& document, std::string_view file) {
  const std::string field = error.field;
  const int line = document.line_of(field);
  if (field.empty()) return std::move(error).context("{}, line {}", file, line);
  return std::move(error).context("{}, line {}, {}", file, line, field);
}

}  // namespace berth::text
