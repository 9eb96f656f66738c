#include "serve_settings.h"

#include "text/yaml.h"

#include <algorithm>
#include <cctype>
#include <cstdlib>
#include <filesystem>

namespace berth::app {
namespace {

// BERTH_INSECURE_HTTP for "insecure_http".
std::string variable_of(std::string_view field) {
  std::string name = "BERTH_";
  for (const char c : field) name += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

// A value as the field wants it: those of a list stand between commas.
json::value read_value(std::string_view field, const std::string& text) {
  if (field != "allow_env") return text::scalar_to_json(text);
  json::array list;
  for (std::size_t begin = 0; begin <= text.size();) {
    const auto end = std::min(text.find(',', begin), text.size());
    if (end > begin) list.emplace_back(text.substr(begin, end - begin));
    begin = end + 1;
  }
  return list;
}

// Lays what the environment says over the document of the file.
void add_environment(json::object& document) {
  for (const auto& field : server::kServeFields) {
    const std::string name = variable_of(field.name);
    const char* value = std::getenv(name.c_str());
    if (value == nullptr || *value == '\0') continue;
    document[field.name] = read_value(field.name, value);
  }
}

}  // namespace

Result<ServeSettings> read_serve_settings(const DataFolder& data,
                                          const std::optional<std::string>& file) {
  json::object document;
  const std::filesystem::path path = file ? std::filesystem::path(*file) : data.settings();
  std::error_code error;
  if (file || std::filesystem::exists(path, error)) {
    BERTH_TRY(const auto value, text::read_yaml_file(path));
    if (!value.is_object() && !value.is_null()) {
      return fail(ErrorCode::invalid_parameter, "{} must hold settings as \"name: value\" lines",
                  path.string());
    }
    if (value.is_object()) document = value.get_object();
    if (auto checked = from_json<ServeSettings>(document, UnknownMembers::refuse); !checked) {
      return fail(std::move(checked).error().context("{}", path.string()));
    }
  }
  add_environment(document);
  auto settings = from_json<ServeSettings>(document, UnknownMembers::refuse);
  if (!settings) {
    const std::string variable = variable_of(settings.error().field);
    return fail(std::move(settings).error().context("the variable {}", variable));
  }
  return settings;
}

}  // namespace berth::app
