// JSON Schema (2020-12) of described types: for editors and validators, and as the components of
// the OpenAPI document.
//
//   json_schema<Deployment>(SchemaUse::input)     // nested types in place
//   Schemas schemas("#/components/schemas/");
//   schemas.reference<Model>(SchemaUse::output)   // {"$ref": …}; the definition is kept
//
// Pure; a Schemas is not thread-safe.
#pragma once

#include "base/describe.h"

#include <map>
#include <string>
#include <string_view>
#include <utility>

#include <boost/type_index.hpp>

namespace berth {

enum class SchemaUse {
  input,   // what is read: defaults, other members refused, sizes as numbers or texts
  output,  // what is written: no secrets, members that are always there are required, and newer
           // versions may have more
};

// Named definitions that refer to each other. A type has one for each use; "Input" is appended to
// the name of the one that is read.
class Schemas {
 public:
  // `prefix` of every reference, such as "#/components/schemas/".
  explicit Schemas(std::string prefix) : prefix_(std::move(prefix)) {}

  template <class T>
  json::object reference(SchemaUse use);

  // By name, sorted.
  [[nodiscard]] json::object definitions() const;

 private:
  struct Definition {
    std::string type;  // with its namespace
    json::object schema;
  };
  // Nothing where `name` is defined already. Two types of one name throw std::logic_error: a bug.
  Definition* begin(const std::string& name, const std::string& type);

  std::string prefix_;
  std::map<std::string, Definition> definitions_;
};

// The schema of a type. With `shared`, described structs in it are references into that.
template <class T>
json::object json_schema(SchemaUse use, Schemas* shared = nullptr);

// A schema that stands alone: json_schema with "$schema", "$id" and "title".
template <class T>
json::object schema_document(std::string_view id, std::string_view title, SchemaUse use);

namespace schema_detail {

// "berth::model::Deployment".
template <class T>
std::string type_name() {
  return boost::typeindex::type_id<T>().pretty_name();
}
// "Deployment".
std::string last_name(std::string_view type);
json::object integer_schema(bool is_signed, int bits);
// 9 for 9.0, which some readers of schemas take for another type.
json::value plain_number(double value);
// What the field table says of a member.
void describe_property(json::object& property, const FieldInfo& info);
json::object document(json::object schema, std::string_view id, std::string_view title);

template <class T>
json::object struct_schema(SchemaUse use, Schemas* shared) {
  using namespace describe_detail;
  const T defaults{};
  json::object properties;
  json::array required;
  boost::mp11::mp_for_each<Members<T>>([&](auto d) {
    using M = std::remove_cvref_t<decltype(std::declval<T>().*d.pointer)>;
    const FieldInfo* info = find_field<T>(d.name);
    const bool output = use == SchemaUse::output;
    if (output && info != nullptr && info->secret) return;
    json::object property = json_schema<M>(use, shared);
    if (info != nullptr) describe_property(property, *info);
    const bool must_be_given = info != nullptr && info->required;
    const bool always_there = output && !kIsOptional<M>;
    if (must_be_given || always_there) required.emplace_back(d.name);
    if constexpr (!kIsOptional<M> && !Described<M>) {
      if (!output && !must_be_given) property["default"] = to_json(defaults.*d.pointer);
    }
    properties[d.name] = std::move(property);
  });
  json::object schema{{"type", "object"}, {"properties", std::move(properties)}};
  if (!required.empty()) schema["required"] = std::move(required);
  if (use == SchemaUse::input) schema["additionalProperties"] = false;
  return schema;
}

}  // namespace schema_detail

template <class T>
json::object json_schema(SchemaUse use, Schemas* shared) {
  using namespace describe_detail;
  if constexpr (std::same_as<T, json::value>) {
    return {};
  } else if constexpr (std::same_as<T, json::object>) {
    return {{"type", "object"}};
  } else if constexpr (std::same_as<T, bool>) {
    return {{"type", "boolean"}};
  } else if constexpr (std::same_as<T, Bytes>) {
    if (use == SchemaUse::output) return {{"type", "integer"}, {"minimum", 0}};
    return {{"type", json::array{"integer", "string"}},
            {"minimum", 0},
            {"description", "bytes, or a text such as \"24GiB\""}};
  } else if constexpr (std::same_as<T, std::chrono::milliseconds>) {
    return {{"type", "integer"}};
  } else if constexpr (std::is_integral_v<T>) {
    return schema_detail::integer_schema(std::is_signed_v<T>, static_cast<int>(sizeof(T)) * 8);
  } else if constexpr (std::is_floating_point_v<T>) {
    return {{"type", "number"}};
  } else if constexpr (std::same_as<T, std::string>) {
    return {{"type", "string"}};
  } else if constexpr (DescribedEnum<T>) {
    json::array choices;
    boost::mp11::mp_for_each<boost::describe::describe_enumerators<T>>(
        [&](auto d) { choices.emplace_back(d.name); });
    return {{"type", "string"}, {"enum", choices}};
  } else if constexpr (kIsOptional<T>) {
    return json_schema<typename T::value_type>(use, shared);
  } else if constexpr (kIsVector<T>) {
    return {{"type", "array"}, {"items", json_schema<typename T::value_type>(use, shared)}};
  } else if constexpr (kIsMap<T>) {
    return {{"type", "object"},
            {"additionalProperties", json_schema<typename T::mapped_type>(use, shared)}};
  } else {
    static_assert(Described<T>, "describe this type with BOOST_DESCRIBE_STRUCT");
    if (shared != nullptr) return shared->template reference<T>(use);
    return schema_detail::struct_schema<T>(use, nullptr);
  }
}

template <class T>
json::object Schemas::reference(SchemaUse use) {
  const std::string type = schema_detail::type_name<T>();
  std::string name = schema_detail::last_name(type);
  if (use == SchemaUse::input) name += "Input";
  if (Definition* made = begin(name, type); made != nullptr) {
    json::object schema = schema_detail::struct_schema<T>(use, this);
    made->schema = std::move(schema);  // map nodes stay where they are
  }
  return {{"$ref", prefix_ + name}};
}

template <class T>
json::object schema_document(std::string_view id, std::string_view title, SchemaUse use) {
  return schema_detail::document(json_schema<T>(use), id, title);
}

}  // namespace berth
