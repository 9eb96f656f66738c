#include "text/yaml.h"

#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace berth::text {
namespace {

json::value only(std::string_view text) {
  auto documents = parse_yaml(text);
  if (!documents || documents->size() != 1) {
    ADD_FAILURE() << text << (documents ? " holds several" : documents.error().to_string());
    return nullptr;
  }
  return documents->front().value;
}

TEST(Yaml, PlainScalarsAreReadAsInJson) {
  const auto value = only(
      "a: true\nb: 12\nc: 1.5\nd: null\ne: yes\nf: 0x10\ng: nan\nh: 1e3\ni: ~\nj: "
      "9999999999999999999");
  EXPECT_EQ(value, parse_json(R"({"a": true, "b": 12, "c": 1.5, "d": null, "e": "yes",
      "f": "0x10", "g": "nan", "h": 1000.0, "i": null, "j": 9999999999999999999})")
                       .value());
}

TEST(Yaml, QuotedScalarsAndBlocksAreTexts) {
  EXPECT_EQ(only("[\"1\", 'true', !!str 7]"), (json::array{"1", "true", "7"}));
  EXPECT_EQ(only("a: |\n  1\n"), (json::object{{"a", "1\n"}}));
}

TEST(Yaml, RefusesWhatReadersWouldReadDifferently) {
  const std::pair<const char*, const char*> cases[] = {
      {"a: 1\nb: 2\na: 3\n", "line 3"},
      {"a: {b: 1, b: 2}", "twice"},
      {"a: [1\n", "line"},
      {"? [a]\n: 1\n", "a key must be a text"},
      {"a: !mine 1\n", "!mine"},
      {"&a [*a]\n", "deep"},
      {"a: x\nb: \"\xFF\"\n", "line 2: the text is not UTF-8"},
      {"a: \xED\xA0\x80\n", "not UTF-8"},  // half a surrogate pair
      {"a: \xC0\xAF\n", "not UTF-8"},      // longer than need be
      {"a: \xF0\x9F\x9A", "not UTF-8"},    // cut off
  };
  for (const auto& [text, word] : cases) {
    const auto documents = parse_yaml(text);
    ASSERT_FALSE(documents) << text;
    EXPECT_EQ(documents.error().code, ErrorCode::invalid_parameter);
    EXPECT_NE(documents.error().to_string().find(word), std::string::npos)
        << text << documents.error().to_string();
  }
}

TEST(Yaml, AliasesCanNotMakeASmallTextLarge) {
  std::string text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n";
  for (int i = 1; i < 9; ++i) {
    const std::string before = fmt::format("*a{}", i - 1);
    text += fmt::format("a{}: &a{} [{}, {}, {}, {}, {}, {}]\n", i, i, before, before, before,
                        before, before, before);
  }
  const auto documents = parse_yaml(text);
  ASSERT_FALSE(documents);
  EXPECT_NE(documents.error().to_string().find("too many"), std::string::npos);
}

TEST(Yaml, LinesOfMembersAreKnown) {
  const auto documents = parse_yaml("# one\na: 1\nb:\n  c:\n    - x\n    - y\n---\nz: 2\n").value();
  ASSERT_EQ(documents.size(), 2);
  EXPECT_EQ(documents[0].line_of("a"), 2);
  EXPECT_EQ(documents[0].line_of("b.c"), 4);
  EXPECT_EQ(documents[0].line_of("b.c[1]"), 6);
  EXPECT_EQ(documents[0].line_of("b.missing"), 3);
  EXPECT_EQ(documents[1].line_of("z"), 8);
}

TEST(Yaml, TextsThatLookLikeSomethingElseAreQuoted) {
  for (const char* text :
       {"yes",        "No",   "null", "~",  "1e3",  "0x10", "007",      "1:30",
        "2001-01-01", "",     " x",   "x ", "a: b", "#x",   "-1",       "---",
        "...",        "a\tb", "- x",  "*a", "&a",   "!x",   "\xC2\x85", "\xE2\x80\xA8",
        ".5",         "x:",   "%x",   "@x"}) {
    const std::string yaml = to_yaml(json::object{{"k", text}});
    EXPECT_EQ(yaml.substr(0, 4), "k: \"") << yaml;
    EXPECT_EQ(only(yaml), (json::object{{"k", text}}));
  }
}

TEST(Yaml, OrdinaryTextsStandPlain) {
  EXPECT_EQ(to_yaml(json::object{{"source", "/m/a-1.gguf"},
                                 {"parameters", json::array{"--ctx-size", "-c", "box1:cuda:0"}},
                                 {"restart", json::object{{"policy", "never"}}},
                                 {"claim", json::object{}}}),
            "source: /m/a-1.gguf\nparameters:\n  - --ctx-size\n  - -c\n  - box1:cuda:0\n"
            "restart:\n  policy: never\nclaim: {}\n");
}

TEST(Yaml, SeveralLinesStandAsABlock) {
  EXPECT_EQ(to_yaml(json::object{{"a", "one\n  two\n\nthree\n"}}),
            "a: |\n  one\n    two\n\n  three\n");
  EXPECT_EQ(to_yaml(json::object{{"a", "one\ntwo"}}), "a: |-\n  one\n  two\n");
}

// Texts of the characters that matter to YAML.
rc::Gen<std::string> text_gen() {
  return rc::gen::map(rc::gen::container<std::vector<std::string>>(
                          rc::gen::elementOf(std::vector<std::string>{"a",
                                                                      "Z",
                                                                      "0",
                                                                      "9",
                                                                      " ",
                                                                      "\n",
                                                                      "\t",
                                                                      "\r",
                                                                      ":",
                                                                      "#",
                                                                      "-",
                                                                      "?",
                                                                      "'",
                                                                      "\"",
                                                                      "\\",
                                                                      "{",
                                                                      "}",
                                                                      "[",
                                                                      "]",
                                                                      ",",
                                                                      "&",
                                                                      "*",
                                                                      "!",
                                                                      "|",
                                                                      ">",
                                                                      "%",
                                                                      "@",
                                                                      "`",
                                                                      "~",
                                                                      "=",
                                                                      ".",
                                                                      "e",
                                                                      "x",
                                                                      "\x01",
                                                                      "\x7f",
                                                                      "\xC2\x85",
                                                                      "\xC3\xA9",
                                                                      "\xE2\x80\xA8",
                                                                      "\xE2\x80\xA9",
                                                                      "\xEF\xBB\xBF",
                                                                      "\xEF\xBF\xBF",
                                                                      "\xF0\x9F\x9A\xA2",
                                                                      "null",
                                                                      "true",
                                                                      "yes",
                                                                      "---",
                                                                      "..."})),
                      [](const std::vector<std::string>& parts) {
                        std::string text;
                        for (const auto& part : parts) text += part;
                        return text;
                      });
}

rc::Gen<json::value> value_gen(int depth) {
  std::vector<rc::Gen<json::value>> kinds = {
      rc::gen::map(text_gen(), [](const std::string& s) { return json::value(json::string(s)); }),
      rc::gen::map(rc::gen::arbitrary<std::int64_t>(), [](auto n) { return json::value(n); }),
      rc::gen::map(rc::gen::arbitrary<bool>(), [](bool b) { return json::value(b); })};
  auto inner = depth > 0 ? value_gen(depth - 1) : kinds[0];
  const auto choice = *rc::gen::inRange(0, depth > 0 ? 5 : 3);
  if (choice < 3) return kinds[static_cast<std::size_t>(choice)];
  if (choice == 3) {
    return rc::gen::map(rc::gen::container<std::vector<json::value>>(inner),
                        [](const std::vector<json::value>& values) {
                          return json::value(json::array(values.begin(), values.end()));
                        });
  }
  return rc::gen::map(rc::gen::container<std::map<std::string, json::value>>(text_gen(), inner),
                      [](const std::map<std::string, json::value>& members) {
                        json::object object;
                        for (const auto& [key, value] : members) object[key] = value;
                        return json::value(object);
                      });
}

RC_GTEST_PROP(Yaml, WhatIsWrittenIsReadBack, ()) {
  const json::value value = *rc::gen::resize(8, value_gen(2));
  const std::string yaml = to_yaml(json::object{{"v", value}});
  const auto documents = parse_yaml(yaml);
  if (!documents) RC_FAIL(yaml + documents.error().to_string());
  RC_ASSERT(documents->size() == 1U);
  if (documents->front().value.at("v") != value) RC_FAIL(yaml);
}

}  // namespace
}  // namespace berth::text
