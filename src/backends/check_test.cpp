#include "backends/check.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::backends {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Backend& llama_box() { return *builtin_backends().find("llama-box"); }

model::ModelProfile profile() {
  model::ModelProfile profile;
  profile.format = model::FileFormat::gguf;
  profile.architecture = "llama";
  profile.context_length = 2048;
  profile.layer_count = 2;
  return profile;
}

Result<CheckedDeployment> check(std::vector<std::string> parameters,
                                std::map<std::string, std::string> env = {}) {
  model::Deployment deployment;
  deployment.name = "chat";
  deployment.parameters = std::move(parameters);
  deployment.env = std::move(env);
  return check_deployment(llama_box(), deployment, profile());
}

TEST(ChooseBackend, TakesLlamaBoxForGgufAndSaysWhy) {
  const auto choice = choose_backend(builtin_backends(), profile(), std::nullopt);
  ASSERT_TRUE(choice);
  EXPECT_EQ(choice->backend, &llama_box());
  EXPECT_THAT(choice->reason, HasSubstr("GGUF"));
}

TEST(ChooseBackend, SaysWhatEachBackendLacks) {
  auto other = profile();
  other.format = model::FileFormat::safetensors;
  const auto choice = choose_backend(builtin_backends(), other, std::nullopt);
  ASSERT_FALSE(choice);
  EXPECT_EQ(choice.error().code, ErrorCode::unsupported);
  EXPECT_EQ(choice.error().to_string(),
            "no backend can serve this model: llama-box serves GGUF files only, and this is "
            "safetensors");
}

TEST(ChooseBackend, RefusesBackendsThatAreNotThere) {
  const auto later = choose_backend(builtin_backends(), profile(), "vllm");
  ASSERT_FALSE(later);
  EXPECT_EQ(later.error().field, "backend");
  EXPECT_EQ(later.error().message,
            "backend \"vllm\" is not part of this version; there is llama-box");
  EXPECT_THAT(choose_backend(builtin_backends(), profile(), "x").error().message,
              HasSubstr("is not known"));
}

TEST(ChooseBackend, RefusesAWishThatCanNotServeTheModel) {
  auto image = profile();
  image.category = model::Category::image;
  const auto choice = choose_backend(builtin_backends(), image, "llama-box");
  ASSERT_FALSE(choice);
  EXPECT_THAT(choice.error().to_string(), HasSubstr("does not serve image models"));
}

TEST(CheckDeployment, RefusesVariablesThatAreBerths) {
  for (const std::string name : {"LLAMA_API_KEY", "LLAMA_ARG_PORT", "CUDA_VISIBLE_DEVICES",
                                 "LD_PRELOAD", "LD_LIBRARY_PATH", "BERTH_INSTANCE"}) {
    const auto checked = check({}, {{name, "1"}});
    ASSERT_FALSE(checked) << name;
    EXPECT_EQ(checked.error().field, "env." + name);
  }
  EXPECT_TRUE(check({}, {{"OMP_WAIT_POLICY", "active"}, {"MY_OWN", "1"}}));
}

TEST(CheckDeployment, RefusesAContextBeyondTheModelsUnlessItIsStretched) {
  const auto checked = check({"--ctx-size", "4096"});
  ASSERT_FALSE(checked);
  EXPECT_THAT(checked.error().message, HasSubstr("4096 is more than the 2048"));
  EXPECT_TRUE(check({"--ctx-size", "4096", "--rope-scaling", "yarn"}));
}

TEST(CheckDeployment, WarnsOfMemoryThatNoEstimateCounts) {
  const auto checked = check({"--lora", "p.gguf"});
  ASSERT_TRUE(checked);
  EXPECT_THAT(checked->warnings, ElementsAre(HasSubstr("--lora")));
}

TEST(CheckDeployment, RefusesContradictions) {
  EXPECT_FALSE(check({"--cache-type-v", "q8_0", "--flash-attn", "off"}));
  EXPECT_FALSE(check({"--tensor-split", "1,x"}));
  EXPECT_FALSE(check({"--tensor-split", "0,0"}));
}

TEST(Serving, MeansTokensPerRequest) {
  const auto parse = [](const std::vector<std::string>& list) {
    return parse_parameters(llama_box().descriptor(), list).value();
  };
  auto large = profile();
  large.context_length = 131072;
  EXPECT_EQ(llama_box().serving(large, parse({}), false)->context, 8192U);
  EXPECT_EQ(llama_box().serving(large, parse({}), false)->slots, 1U);
  EXPECT_EQ(llama_box().serving(large, parse({}), true)->slots, 4U);
  EXPECT_EQ(llama_box().serving(profile(), parse({}), true)->context, 2048U);
  EXPECT_EQ(llama_box().serving(large, parse({"-c", "10000", "-np", "3"}), true)->context, 10000U);
  EXPECT_EQ(llama_box().serving(large, parse({"-c", "10000", "-np", "3"}), true)->slots, 3U);
}

TEST(UnsupportedFlags, NamesWhatAPackDoesNotHave) {
  const auto parsed =
      parse_parameters(llama_box().descriptor(), {"-c", "5", "--top-k", "1", "--top-k", "2"});
  model::EnginePack pack;
  EXPECT_TRUE(unsupported_flags(pack, *parsed).empty());
  pack.flags = {{.flag = "--ctx-size", .aliases = {"-c"}}};
  EXPECT_THAT(unsupported_flags(pack, *parsed), ElementsAre("--top-k"));
}

TEST(BuildEnvironment, SaysWhoSetWhat) {
  std::vector<std::string> notes;
  const auto env = build_environment(
      llama_box().descriptor(), {{"OMP_WAIT_POLICY", "active"}, {"LD_PRELOAD", "x"}, {"A", "b"}},
      {{.name = "HOME", .value = "/i", .owner = model::Owner::berth}}, notes);
  const auto value = [&](std::string_view name) {
    const auto found = std::find_if(env.begin(), env.end(),
                                    [&](const auto& variable) { return variable.name == name; });
    return found == env.end() ? "(none)"
                              : fmt::format("{} by {}", found->value, enum_name(found->owner));
  };
  EXPECT_EQ(value("OMP_WAIT_POLICY"), "active by user");
  EXPECT_EQ(value("A"), "b by user");
  EXPECT_EQ(value("HOME"), "/i by berth");
  EXPECT_EQ(value("LANG"), "C.UTF-8 by system");
  EXPECT_EQ(value("LD_PRELOAD"), "(none)");
  EXPECT_THAT(notes, ElementsAre(HasSubstr("asked LD_PRELOAD; not in force")));
}

TEST(ParameterReference, ListsEveryFlagAndVariable) {
  const auto& descriptor = llama_box().descriptor();
  const auto text = parameter_reference(descriptor);
  for (const auto& parameter : descriptor.parameters) {
    EXPECT_THAT(text, HasSubstr(fmt::format("| `{}`", parameter.flag)));
  }
  for (const auto& variable : descriptor.variables) {
    EXPECT_THAT(text, HasSubstr(fmt::format("| `{}` |", variable.name)));
  }
}

}  // namespace
}  // namespace berth::backends
