#include "base/schema.h"

#include <cmath>
#include <stdexcept>

namespace berth {

Schemas::Definition* Schemas::begin(const std::string& name, const std::string& type) {
  const auto [entry, is_new] = definitions_.try_emplace(name, Definition{type, {}});
  if (is_new) return &entry->second;
  if (entry->second.type != type) {
    throw std::logic_error(
        fmt::format("two types are called {}: {} and {}", name, entry->second.type, type));
  }
  return nullptr;
}

json::object Schemas::definitions() const {
  json::object all;
  for (const auto& [name, definition] : definitions_) all[name] = definition.schema;
  return all;
}

namespace schema_detail {

std::string last_name(std::string_view type) {
  const auto colon = type.rfind("::");
  return std::string(colon == std::string_view::npos ? type : type.substr(colon + 2));
}

json::object integer_schema(bool is_signed, int bits) {
  json::object schema{{"type", "integer"}};
  if (!is_signed) schema["minimum"] = 0;
  // Of wider ones the limits are no numbers that every reader of JSON keeps exactly.
  if (bits > 32) return schema;
  const std::int64_t range = std::int64_t{1} << bits;
  if (is_signed) schema["minimum"] = -range / 2;
  schema["maximum"] = is_signed ? range / 2 - 1 : range - 1;
  return schema;
}

json::value plain_number(double value) {
  constexpr double kExact = 9007199254740992.0;  // 2^53
  if (std::trunc(value) == value && std::abs(value) < kExact) {
    return static_cast<std::int64_t>(value);
  }
  return value;
}

void describe_property(json::object& property, const FieldInfo& info) {
  if (!info.text.empty()) property["description"] = json::string(info.text);
  if (!info.unit.empty()) property["x-unit"] = json::string(info.unit);
  if (info.minimum) property["minimum"] = plain_number(*info.minimum);
  if (info.maximum) property["maximum"] = plain_number(*info.maximum);
  if (info.secret) property["writeOnly"] = true;
}

json::object document(json::object schema, std::string_view id, std::string_view title) {
  json::object whole{{"$schema", "https://json-schema.org/draft/2020-12/schema"},
                     {"$id", json::string(id)},
                     {"title", json::string(title)}};
  for (auto& member : schema) whole[member.key()] = std::move(member.value());
  return whole;
}

}  // namespace schema_detail

}  // namespace berth
