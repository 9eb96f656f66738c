#include "base/describe.h"

#include <gtest/gtest.h>

namespace berth {
namespace {

enum class Colour { red, blue };
BOOST_DESCRIBE_ENUM(Colour, red, blue)

struct Inner {
  std::uint16_t port = 0;
  Bytes memory;
};
BOOST_DESCRIBE_STRUCT(Inner, (), (port, memory))

struct Outer {
  std::string name;
  int count = 3;
  Colour colour = Colour::red;
  std::optional<Inner> inner;
  std::vector<std::string> words;
  std::map<std::string, std::string> labels;
  std::string key;
};
BOOST_DESCRIBE_STRUCT(Outer, (), (name, count, colour, inner, words, labels, key))
constexpr FieldInfo kOuterFields[] = {
    {.name = "name", .text = "how it is called", .required = true},
    {.name = "count", .minimum = 0, .maximum = 9},
    {.name = "key", .secret = true},
};
constexpr std::span<const FieldInfo> field_table(const Outer*) { return kOuterFields; }

Result<Outer> read(std::string_view text, UnknownMembers unknown = UnknownMembers::refuse) {
  return from_json<Outer>(parse_json(text).value(), unknown);
}

TEST(Describe, AbsentMembersTakeTheirDefaults) {
  const auto outer = read(R"({"name":"a"})");
  ASSERT_TRUE(outer) << outer.error().to_string();
  EXPECT_EQ(outer->count, 3);
  EXPECT_FALSE(outer->inner);
}

TEST(Describe, ErrorsNameThePath) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({})", "name"},
      {R"({"name":"a","colour":"green"})", "colour"},
      {R"({"name":"a","inner":{"port":70000}})", "inner.port"},
      {R"({"name":"a","inner":{"porrt":7}})", "inner.porrt"},
      {R"({"name":"a","words":["x",7]})", "words[1]"},
      {R"({"name":"a","count":10})", "count"},
      {R"({"name":"a","labels":{"x":true}})", "labels.x"},
      {R"({"name":"a","extra":1})", "extra"},
  };
  for (const auto& [text, field] : cases) {
    const auto outer = read(text);
    ASSERT_FALSE(outer) << text;
    EXPECT_EQ(outer.error().field, field) << text;
  }
}

TEST(Describe, UnknownMembersAreIgnoredFromPeersAndKeptByMerge) {
  auto document = parse_json(R"({"name":"a","later":1,"inner":{"port":1,"newer":2}})").value();
  auto outer = from_json<Outer>(document, UnknownMembers::ignore).value();
  outer.inner->port = 9;
  merge_json(document.get_object(), outer);
  EXPECT_EQ(document.at("later").as_int64(), 1);
  EXPECT_EQ(document.at("inner").at("newer").as_int64(), 2);
  EXPECT_EQ(document.at("inner").at("port").to_number<int>(), 9);
}

TEST(Describe, SecretsAreShownOnlyOnRequest) {
  const Outer outer{.name = "a", .key = "s3cret"};
  EXPECT_EQ(to_text(to_json(outer)).find("s3cret"), std::string::npos);
  EXPECT_NE(to_text(to_json(outer, Secrets::show)).find("s3cret"), std::string::npos);
}

TEST(Describe, RoundTripKeepsEverything) {
  const Outer outer{.name = "a",
                    .count = 5,
                    .colour = Colour::blue,
                    .inner = Inner{.port = 8, .memory = 3_GiB},
                    .words = {"x", "y"},
                    .labels = {{"k", "v"}},
                    .key = "s"};
  const auto json = to_json(outer, Secrets::show);
  const auto again = from_json<Outer>(json, UnknownMembers::refuse).value();
  EXPECT_EQ(to_json(again, Secrets::show), json);
}

TEST(Describe, BytesAreReadFromTextToo) {
  EXPECT_EQ(read(R"({"name":"a","inner":{"memory":"2GiB"}})")->inner->memory, 2_GiB);
}

TEST(Json, RefusesWhatReadersWouldReadDifferently) {
  EXPECT_FALSE(parse_json(R"({"a":1,"a":2})"));
  EXPECT_FALSE(parse_json(R"({"b":{"a":1,"a":2}})"));
  EXPECT_TRUE(parse_json(R"({"b":{"a":1},"a":2})"));
  EXPECT_FALSE(parse_json("{} x"));
  EXPECT_FALSE(parse_json("{"));
  EXPECT_FALSE(parse_json(std::string(100, '[') + std::string(100, ']')));
}

TEST(Json, PrettyTextParsesBack) {
  const auto value = parse_json(R"({"a":[1,{"b":null}],"c":{},"d":"x\"y"})").value();
  EXPECT_EQ(parse_json(to_pretty_text(value)).value(), value);
}

}  // namespace
}  // namespace berth
