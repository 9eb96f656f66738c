#include "base/schema.h"

#include <gtest/gtest.h>

namespace berth {
namespace {

enum class Colour { red, blue };
BOOST_DESCRIBE_ENUM(Colour, red, blue)

struct Inner {
  std::uint16_t port = 80;
  Bytes memory;
};
BOOST_DESCRIBE_STRUCT(Inner, (), (port, memory))

struct Outer {
  std::string name;
  int count = 3;
  Colour colour = Colour::blue;
  std::optional<double> share;
  Inner inner;
  std::vector<std::string> words;
  std::map<std::string, Inner> more;
  std::string key;
};
BOOST_DESCRIBE_STRUCT(Outer, (), (name, count, colour, share, inner, words, more, key))
constexpr FieldInfo kOuterFields[] = {
    {.name = "name", .text = "how it is called", .required = true},
    {.name = "count", .unit = "tokens", .minimum = 0, .maximum = 9},
    {.name = "share", .minimum = 0.5},
    {.name = "key", .secret = true},
};
constexpr std::span<const FieldInfo> field_table(const Outer*) { return kOuterFields; }

json::value property(const json::object& schema, std::string_view name) {
  return schema.at("properties").at(name);
}

TEST(Schema, NamesTypesRangesUnitsAndChoices) {
  const auto schema = json_schema<Outer>(SchemaUse::input);
  EXPECT_EQ(schema.at("required"), json::array{"name"});
  EXPECT_EQ(property(schema, "count"), parse_json(R"({"type": "integer", "minimum": 0,
      "maximum": 9, "x-unit": "tokens", "default": 3})")
                                           .value());
  EXPECT_EQ(
      property(schema, "colour"),
      parse_json(R"({"type": "string", "enum": ["red", "blue"], "default": "blue"})").value());
  EXPECT_EQ(property(schema, "share").at("minimum"), 0.5);
  EXPECT_EQ(property(property(schema, "inner").as_object(), "port").at("maximum"), 65535);
  EXPECT_EQ(property(schema, "more").at("additionalProperties").at("type"), "object");
}

TEST(Schema, DefaultsAreThoseOfADefaultConstructedValue) {
  const auto schema = json_schema<Outer>(SchemaUse::input);
  EXPECT_EQ(property(schema, "words").at("default"), json::array());
  EXPECT_EQ(property(property(schema, "inner").as_object(), "port").at("default"), 80);
  EXPECT_FALSE(property(schema, "name").as_object().contains("default"));   // must be given
  EXPECT_FALSE(property(schema, "share").as_object().contains("default"));  // may be absent
}

TEST(Schema, WhatIsReadHasNoOtherMembers) {
  const auto schema = json_schema<Outer>(SchemaUse::input);
  EXPECT_EQ(schema.at("additionalProperties"), false);
  EXPECT_EQ(property(schema, "inner").at("additionalProperties"), false);
  EXPECT_EQ(property(schema, "key").at("writeOnly"), true);
}

TEST(Schema, WhatIsWrittenHasAllItsMembersAndNoSecret) {
  const auto schema = json_schema<Outer>(SchemaUse::output);
  EXPECT_EQ(schema.at("required"),
            (json::array{"name", "count", "colour", "inner", "words", "more"}));
  EXPECT_FALSE(schema.at("properties").as_object().contains("key"));
  EXPECT_FALSE(schema.contains("additionalProperties"));
  EXPECT_EQ(property(property(schema, "inner").as_object(), "memory").at("type"), "integer");
}

TEST(Schema, SharedTypesAreDefinedOnceForEachUse) {
  Schemas schemas("#/components/schemas/");
  EXPECT_EQ(schemas.reference<Outer>(SchemaUse::output),
            (json::object{{"$ref", "#/components/schemas/Outer"}}));
  schemas.reference<Outer>(SchemaUse::input);
  const auto definitions = schemas.definitions();
  ASSERT_EQ(definitions.size(), 4);
  EXPECT_EQ(definitions.at("Outer").at("properties").at("inner").at("$ref"),
            "#/components/schemas/Inner");
  EXPECT_EQ(definitions.at("OuterInput").at("properties").at("inner").at("$ref"),
            "#/components/schemas/InnerInput");
}

namespace other {
struct Outer {
  int number = 0;
};
BOOST_DESCRIBE_STRUCT(Outer, (), (number))
}  // namespace other

TEST(Schema, TwoTypesOfOneNameAreABug) {
  Schemas schemas("#/");
  schemas.reference<Outer>(SchemaUse::output);
  EXPECT_THROW(schemas.reference<other::Outer>(SchemaUse::output), std::logic_error);
}

TEST(Schema, ADocumentSaysWhatItIs) {
  const auto schema = schema_document<Inner>("urn:inner", "Inner things", SchemaUse::input);
  EXPECT_EQ(schema.begin()->key(), "$schema");
  EXPECT_EQ(schema.at("$id"), "urn:inner");
  EXPECT_EQ(schema.at("title"), "Inner things");
  EXPECT_EQ(schema.at("type"), "object");
}

}  // namespace
}  // namespace berth
