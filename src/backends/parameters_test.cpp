#include "backends/backend.h"
#include "backends/llama_box/llama_box.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::backends {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

Result<ParsedParameters> parse(const std::vector<std::string>& parameters) {
  return parse_parameters(llama_box::llama_box_descriptor(), parameters);
}

std::string error_of(const std::vector<std::string>& parameters) {
  const auto parsed = parse(parameters);
  if (parsed) return "no error";
  EXPECT_EQ(parsed.error().code, ErrorCode::invalid_parameter);
  EXPECT_EQ(parsed.error().field, "parameters");
  return parsed.error().message;
}

TEST(ParseParameters, ReadsEverySpelling) {
  const std::vector<std::vector<std::string>> spellings = {
      {"--ctx-size", "4096"}, {"--ctx-size=4096"}, {"-c", "4096"}, {"--ctx-size 4096"}};
  for (const auto& spelling : spellings) {
    const auto parsed = parse(spelling);
    ASSERT_TRUE(parsed) << parsed.error().to_string();
    EXPECT_THAT(parsed->given, ElementsAre(ParsedParameters::Given{"--ctx-size", "4096", true}));
  }
}

TEST(ParseParameters, TakesANegativeNumberAsAValue) {
  const auto parsed = parse({"--seed", "-1", "--no-mmap"});
  ASSERT_TRUE(parsed) << parsed.error().to_string();
  EXPECT_EQ(parsed->find("--seed")->value, "-1");
  EXPECT_NE(parsed->find("--no-mmap"), nullptr);
}

TEST(ParseParameters, LetsTheLastValueCount) {
  EXPECT_EQ(parse({"-c", "1", "--ctx-size", "2"})->find("--ctx-size")->value, "2");
}

TEST(ParseParameters, RefusesManagedFlagsByName) {
  for (const std::string flag :
       {"--port", "--host", "-m", "--api-key", "--rpc", "--no-kv-unified", "-fit", "--embeddings",
        "--hf-repo", "--tools", "--models-dir", "--slot-save-path", "--ssl-key-file", "--device"}) {
    EXPECT_THAT(error_of({flag, "x"}), HasSubstr("is set by Berth and can not be given")) << flag;
  }
  EXPECT_THAT(error_of({"--port=1"}), HasSubstr("--port"));
}

TEST(ParseParameters, ChecksTypesAndRanges) {
  EXPECT_EQ(error_of({"--ctx-size", "0"}), "--ctx-size must be between 1 and 16777216 (got 0)");
  EXPECT_THAT(error_of({"--ctx-size", "many"}), HasSubstr("must be a whole number"));
  EXPECT_THAT(error_of({"--ctx-size"}), HasSubstr("needs a value"));
  EXPECT_THAT(error_of({"--swa-full=1"}), HasSubstr("takes no value"));
  EXPECT_THAT(error_of({"--top-p", "1.5"}), HasSubstr("between 0 and 1"));
  EXPECT_THAT(error_of({"--cache-type-k", "q9"}), HasSubstr("must be one of f32, f16"));
  EXPECT_THAT(error_of({"4096"}), HasSubstr("does not belong to a flag"));
  EXPECT_EQ(error_of({"--gpu-layers", "all"}), "no error");
  EXPECT_THAT(error_of({"--gpu-layers", "most"}), HasSubstr("or auto, all"));
}

TEST(ParseParameters, RefusesFlagsThatExcludeEachOther) {
  EXPECT_EQ(error_of({"--grammar", "x", "--json-schema", "{}"}),
            "--grammar and --json-schema can not stand together");
}

TEST(ParseParameters, PassesUnknownFlagsOnWithAWarning) {
  const auto parsed = parse({"--brand-new", "7", "--other", "--third=x"});
  ASSERT_TRUE(parsed);
  EXPECT_THAT(parsed->given, ElementsAre(ParsedParameters::Given{"--brand-new", "7", false},
                                         ParsedParameters::Given{"--other", std::nullopt, false},
                                         ParsedParameters::Given{"--third", "x", false}));
  EXPECT_EQ(parsed->warnings.size(), 3U);
}

TEST(Descriptor, NamesEachFlagOnceAndSaysWhatItIs) {
  std::set<std::string_view> names;
  for (const auto& parameter : llama_box::llama_box_descriptor().parameters) {
    EXPECT_TRUE(names.insert(parameter.flag).second) << parameter.flag;
    for (const auto name : parameter.aliases) EXPECT_TRUE(names.insert(name).second) << name;
    for (const auto name : parameter.negations) EXPECT_TRUE(names.insert(name).second) << name;
    EXPECT_FALSE(parameter.text.empty()) << parameter.flag;
    EXPECT_EQ(parameter.type == ParameterType::choice,
              !parameter.choices.empty() && parameter.type != ParameterType::integer)
        << parameter.flag;
  }
  EXPECT_GT(names.size(), 250U);
}

}  // namespace
}  // namespace berth::backends
