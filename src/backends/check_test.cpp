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

model::ModelProfile hugging_face(model::Category category = model::Category::llm) {
  model::ModelProfile found;
  found.format = model::FileFormat::safetensors;
  found.architecture = "LlamaForCausalLM";
  found.model_type = "llama";
  found.category = category;
  return found;
}

model::ModelProfile speech(std::string family, model::Category category) {
  model::ModelProfile found;
  found.architecture = std::move(family);
  found.category = category;
  return found;
}

std::string chosen(const model::ModelProfile& found) {
  const auto choice = choose_backend(builtin_backends(), found, std::nullopt);
  return choice ? std::string(choice->backend->descriptor().name) : choice.error().to_string();
}

TEST(ChooseBackend, TakesVoxBoxForSpeechModelsThatItKnows) {
  EXPECT_EQ(chosen(speech("faster-whisper", model::Category::speech_to_text)), "vox-box");
  EXPECT_EQ(chosen(speech("cosyvoice2", model::Category::text_to_speech)), "vox-box");
}

TEST(ChooseBackend, RefusesACosyVoiceThatVoxBoxCanNotOpen) {
  auto cosyvoice = speech("cosyvoice2", model::Category::text_to_speech);
  cosyvoice.model_type = "cosyvoice.yaml";
  EXPECT_EQ(chosen(cosyvoice), "vox-box");
  cosyvoice.model_type = "cosyvoice2.yaml";
  EXPECT_THAT(chosen(cosyvoice), HasSubstr("this has only a cosyvoice2.yaml"));
}

TEST(ChooseBackend, TakesVllmForTheRest) {
  for (const auto category : {model::Category::llm, model::Category::embedding,
                              model::Category::reranker, model::Category::speech_to_text}) {
    EXPECT_EQ(chosen(hugging_face(category)), "vllm");
  }
}

TEST(ChooseBackend, TakesMindieOnlyWhereItIsNamed) {
  const auto free = choose_backend(builtin_backends(), hugging_face(), std::nullopt);
  ASSERT_TRUE(free);
  EXPECT_THAT(free->others, testing::Contains("ascend-mindie serves only where it is named"));
  const auto named = choose_backend(builtin_backends(), hugging_face(), "ascend-mindie");
  ASSERT_TRUE(named) << named.error().to_string();
  EXPECT_EQ(named->backend->descriptor().name, "ascend-mindie");
  for (const auto category : {model::Category::embedding, model::Category::image}) {
    EXPECT_FALSE(choose_backend(builtin_backends(), hugging_face(category), "ascend-mindie"));
  }
}

TEST(ChooseBackend, SaysWhatTheOthersLack) {
  const auto choice = choose_backend(builtin_backends(), hugging_face(), std::nullopt);
  ASSERT_TRUE(choice);
  EXPECT_THAT(choice->reason, HasSubstr("LlamaForCausalLM"));
  EXPECT_THAT(choice->others,
              ElementsAre("llama-box serves GGUF files only, and this is safetensors",
                          "vox-box serves speech models only, and this is for llm",
                          "ascend-mindie serves only where it is named"));
}

TEST(ChooseBackend, SaysWhatEachBackendLacksWhereNoneServes) {
  const auto choice = choose_backend(builtin_backends(), hugging_face(model::Category::image), {});
  ASSERT_FALSE(choice);
  EXPECT_EQ(choice.error().code, ErrorCode::unsupported);
  EXPECT_EQ(choice.error().causes.size(), 4U);
  EXPECT_THAT(choice.error().to_string(), HasSubstr("no backend can serve this model"));
}

TEST(ChooseBackend, KnowsWhereASpeechModelRuns) {
  const auto platforms = [](const std::string& family) {
    return builtin_backends().find("vox-box")->platforms(
        speech(family, model::Category::text_to_speech));
  };
  EXPECT_THAT(platforms("bark"), testing::Contains("windows/amd64"));
  for (const char* family : {"cosyvoice", "cosyvoice2", "dia"}) {
    EXPECT_THAT(platforms(family), ElementsAre("linux/amd64", "darwin/arm64", "darwin/amd64"));
  }
}

TEST(ChooseBackend, RefusesBackendsThatAreNotThere) {
  const auto wrong = choose_backend(builtin_backends(), profile(), "ollama");
  ASSERT_FALSE(wrong);
  EXPECT_EQ(wrong.error().field, "backend");
  EXPECT_EQ(wrong.error().message,
            "backend \"ollama\" is not known; there are llama-box, vox-box, vllm, ascend-mindie");
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
