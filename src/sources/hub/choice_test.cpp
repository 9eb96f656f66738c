#include "sources/hub/choice.h"

#include "sources/hub/quantisation.h"

#include <map>

#include <gmock/gmock.h>

namespace berth::sources {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

HubListing listing(std::string_view name, std::vector<std::string> paths) {
  HubListing listing{.name = parse_hub_name(name).value(), .commit = "c0", .files = {}};
  std::ranges::sort(paths);
  std::uint64_t size = 0;
  for (auto& path : paths) listing.files.push_back({.path = std::move(path), .size = {++size}});
  return listing;
}

std::vector<std::string> chosen(std::string_view name, std::vector<std::string> paths) {
  auto choice = choose_files(listing(name, std::move(paths)));
  return choice ? std::move(choice->files) : std::vector{choice.error().message};
}

Error refusal(std::string_view name, std::vector<std::string> paths) {
  auto choice = choose_files(listing(name, std::move(paths)));
  return choice ? Error{.message = "no error"} : choice.error();
}

TEST(Quantisation, IsReadFromNames) {
  for (const auto& [path, quantisation] : std::map<std::string_view, std::string_view>{
           {"gemma-3-270m-Q4_K_M.gguf", "Q4_K_M"},
           {"llama-2-7b.Q5_K_S.gguf", "Q5_K_S"},
           {"model_q4_0.gguf", "Q4_0"},
           {"Qwen3-8B-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"},
           {"model.i1-IQ2_XXS.gguf", "IQ2_XXS"},
           {"BF16/model.gguf", "BF16"},
           {"Q8_0/Q8_0-model-F16.gguf", "F16"},
           {"gpt-oss-20b-mxfp4.gguf", "MXFP4"},
           {"model-Q4_0_4_4.gguf", "Q4_0_4_4"},
           {"model-TQ1_0.gguf", "TQ1_0"},
           {"model-q8.gguf", "Q8"},
           {"QwQ-32B.gguf", ""},
           {"phi-4.gguf", ""},
           {"Q0_1.gguf", ""},
       }) {
    EXPECT_EQ(quantisation_of(path), quantisation) << path;
  }
}

TEST(Quantisation, IsPreferredInTheOrderThatIsDocumented) {
  const std::vector<std::string> expected = {
      "Q4_K_M", "Q4_K_XL", "UD-Q4_K_XL", "Q4_K_L", "Q4_K_S", "IQ4_NL", "IQ4_XS", "MXFP4",
      "Q4_1",   "Q4_0",    "Q5_K_M",     "Q5_K_S", "Q6_K",   "Q8_0",   "Q3_K_M", "BF16",
      "F16",    "Q2_K",    "IQ2_M",      "IQ1_S",  "F32",    ""};
  auto sorted = expected;
  std::ranges::sort(sorted);
  std::ranges::sort(sorted, is_preferred);
  EXPECT_EQ(sorted, expected);
}

const std::vector<std::string> kSeveral = {".gitattributes",
                                           "README.md",
                                           "config.json",
                                           "m-Q8_0.gguf",
                                           "m-Q4_K_M.gguf",
                                           "m-IQ2_M.gguf",
                                           "mmproj-F16.gguf",
                                           "mmproj-F32.gguf",
                                           "m-imatrix.gguf",
                                           "BF16/m-BF16-00001-of-00002.gguf",
                                           "BF16/m-BF16-00002-of-00002.gguf"};

TEST(ChooseGguf, TakesThePreferredQuantisationAndSaysWhyAndWhatElseThereIs) {
  const auto choice = choose_files(listing("hf:o/m", kSeveral));
  ASSERT_TRUE(choice) << choice.error().to_string();
  EXPECT_EQ(choice->quantisation, "Q4_K_M");
  EXPECT_EQ(choice->source, "hf:o/m");
  EXPECT_EQ(choice->commit, "c0");
  EXPECT_THAT(choice->reason, AllOf(HasSubstr("the preferred of 4"), HasSubstr("Q4_K_M first")));
  EXPECT_THAT(choice->files, ElementsAre("m-Q4_K_M.gguf"));
  EXPECT_THAT(choice->projectors, ElementsAre("mmproj-F16.gguf", "mmproj-F32.gguf"));
  std::vector<std::string> others;
  for (const auto& one : choice->alternatives) others.push_back(one.quantisation);
  EXPECT_THAT(others, ElementsAre("Q8_0", "BF16", "IQ2_M"));
  EXPECT_EQ(choice->alternatives[1].files.size(), 2);
  EXPECT_EQ(choice->alternatives[1].size, Bytes{2 + 3});
  EXPECT_EQ(choice->size, Bytes{7});
}

TEST(ChooseGguf, TakesTheQuantisationThatIsAskedForWithAllItsParts) {
  EXPECT_THAT(chosen("hf:o/m:q8_0", kSeveral), ElementsAre("m-Q8_0.gguf"));
  EXPECT_THAT(chosen("hf:o/m:BF16", kSeveral),
              ElementsAre("BF16/m-BF16-00001-of-00002.gguf", "BF16/m-BF16-00002-of-00002.gguf"));
  const auto choice = choose_files(listing("hf:o/m:BF16", kSeveral));
  EXPECT_THAT(choice->projectors, ElementsAre("mmproj-F16.gguf", "mmproj-F32.gguf"));
  EXPECT_EQ(choice->reason, "the quantisation that was asked for");
}

TEST(ChooseGguf, FindsADynamicQuantisationByItsShortName) {
  const std::vector<std::string> both = {"m-Q4_K_XL.gguf", "m-UD-Q4_K_XL.gguf"};
  EXPECT_THAT(chosen("hf:o/m:Q4_K_XL", both), ElementsAre("m-Q4_K_XL.gguf"));
  EXPECT_THAT(chosen("hf:o/m:UD-Q4_K_XL", both), ElementsAre("m-UD-Q4_K_XL.gguf"));
  EXPECT_THAT(chosen("hf:o/m:Q4_K_XL", {"m-UD-Q4_K_XL.gguf"}), ElementsAre("m-UD-Q4_K_XL.gguf"));
}

TEST(ChooseGguf, TakesAllPartsOfTheOneThatIsNamed) {
  EXPECT_THAT(chosen("hf:o/m/BF16/m-BF16-00002-of-00002.gguf", kSeveral),
              ElementsAre("BF16/m-BF16-00001-of-00002.gguf", "BF16/m-BF16-00002-of-00002.gguf"));
  EXPECT_THAT(chosen("hf:o/m/mmproj-F16.gguf", kSeveral), ElementsAre("mmproj-F16.gguf"));
}

TEST(ChooseGguf, SaysWhichThereAre) {
  const auto error = refusal("hf:o/m:Q3_K_M", kSeveral);
  EXPECT_EQ(error.code, ErrorCode::not_found);
  EXPECT_EQ(error.field, "source");
  EXPECT_THAT(error.message, HasSubstr("no such quantisation; it has Q4_K_M (7 B), Q8_0"));
  EXPECT_THAT(refusal("hf:o/m/x.gguf", kSeveral).message,
              HasSubstr("no such file; it has m-Q4_K_M.gguf"));
  EXPECT_THAT(refusal("hf:o/m:Q4_K_M", {"README.md"}).message, HasSubstr("holds no GGUF model"));
}

TEST(ChooseGguf, RefusesToGuessBetweenModels) {
  const std::vector<std::string> two = {"small-Q4_K_M.gguf", "big-Q4_K_M.gguf", "big-Q8_0.gguf"};
  const auto error = refusal("hf:o/m", two);
  EXPECT_EQ(error.code, ErrorCode::invalid_parameter);
  EXPECT_THAT(error.message, AllOf(HasSubstr("big-Q4_K_M.gguf"), HasSubstr("small-Q4_K_M.gguf")));
  EXPECT_EQ(refusal("hf:o/m:Q4_K_M", two).code, ErrorCode::invalid_parameter);
  EXPECT_THAT(chosen("hf:o/m:Q8_0", two), ElementsAre("big-Q8_0.gguf"));
  EXPECT_EQ(refusal("hf:o/m", {"a.gguf", "b.gguf"}).code, ErrorCode::invalid_parameter);
}

TEST(ChooseGguf, MissesParts) {
  const auto error =
      refusal("hf:o/m", {"m-Q4_0-00001-of-00003.gguf", "m-Q4_0-00003-of-00003.gguf"});
  EXPECT_EQ(error.code, ErrorCode::not_found);
  EXPECT_THAT(error.message, HasSubstr("of the 3 parts of the model the repository has 2"));
}

TEST(ChooseWeights, TakesSafetensorsAndNoOtherCopies) {
  EXPECT_THAT(chosen("hf:o/m", {".gitattributes",
                                "LICENSE",
                                "README.md",
                                "config.json",
                                "consolidated.safetensors",
                                "flax_model.msgpack",
                                "generation_config.json",
                                "image.png",
                                "model-00001-of-00002.safetensors",
                                "model-00002-of-00002.safetensors",
                                "model.safetensors.index.json",
                                "onnx/model.onnx",
                                "original/consolidated.00.pth",
                                "pytorch_model.bin",
                                "pytorch_model.bin.index.json",
                                "rust_model.ot",
                                "tf_model.h5",
                                "tokenizer.json",
                                "tokenizer.model",
                                "1_Pooling/config.json",
                                "m-Q4_K_M.gguf"}),
              ElementsAre("1_Pooling/config.json", "LICENSE", "README.md", "config.json",
                          "generation_config.json", "model-00001-of-00002.safetensors",
                          "model-00002-of-00002.safetensors", "model.safetensors.index.json",
                          "pytorch_model.bin.index.json", "tokenizer.json", "tokenizer.model"));
}

TEST(ChooseWeights, TakesBinAndConsolidatedWhereThereIsNothingElse) {
  EXPECT_THAT(chosen("hf:o/m", {"config.json", "pytorch_model.bin", "tf_model.h5"}),
              ElementsAre("config.json", "pytorch_model.bin"));
  EXPECT_THAT(chosen("hf:o/m", {"config.json", "consolidated.safetensors", "params.json"}),
              ElementsAre("config.json", "consolidated.safetensors", "params.json"));
}

TEST(ChooseWeights, KeepsWhatSpeechModelsNeed) {
  const std::vector<std::string> voice = {"Blank/config.json", "Blank/model.safetensors",
                                          "campplus.onnx",     "cosyvoice2.yaml",
                                          "flow.pt",           "llm.pt"};
  EXPECT_EQ(chosen("ms:o/m", voice), voice);
  const std::vector<std::string> whisper = {"config.json", "model.bin", "tokenizer.json",
                                            "vocabulary.txt"};
  EXPECT_EQ(chosen("hf:o/m", whisper), whisper);
}

TEST(ChooseWeights, TakesAPipelinesFoldersAndNotTheCheckpointBesideThem) {
  EXPECT_THAT(chosen("hf:o/m", {"model_index.json", "sd.safetensors", "unet/config.json",
                                "unet/diffusion_pytorch_model.bin",
                                "unet/diffusion_pytorch_model.fp16.safetensors",
                                "unet/diffusion_pytorch_model.safetensors"}),
              ElementsAre("model_index.json", "unet/config.json",
                          "unet/diffusion_pytorch_model.safetensors"));
}

TEST(ChooseWeights, GivesWayToGgufWhereThereAreNoOthers) {
  EXPECT_THAT(chosen("hf:o/m", {"config.json", "README.md", "m-Q4_K_M.gguf"}),
              ElementsAre("m-Q4_K_M.gguf"));
  EXPECT_THAT(chosen("hf:o/m:Q4_K_M", {"config.json", "model.safetensors", "m-Q4_K_M.gguf"}),
              ElementsAre("m-Q4_K_M.gguf"));
}

TEST(ChooseFiles, TakesTheFileThatIsNamed) {
  EXPECT_THAT(chosen("hf:o/m/sd.safetensors", {"model_index.json", "sd.safetensors"}),
              ElementsAre("sd.safetensors"));
  EXPECT_EQ(refusal("hf:o/m/sd.ckpt", {"sd.safetensors"}).code, ErrorCode::not_found);
}

TEST(ChooseFiles, TakesAllOfATag) {
  const auto choice =
      choose_files(listing("ollama:m:7b", {"model.gguf", "mmproj.gguf", "license", "params"}));
  ASSERT_TRUE(choice) << choice.error().to_string();
  EXPECT_THAT(choice->files, ElementsAre("license", "model.gguf", "params"));
  EXPECT_THAT(choice->projectors, ElementsAre("mmproj.gguf"));
  EXPECT_THAT(choice->alternatives, IsEmpty());
}

TEST(ChooseFiles, RefusesAnEmptyRepository) {
  EXPECT_EQ(refusal("hf:o/m", {}).code, ErrorCode::not_found);
  EXPECT_EQ(refusal("hf:o/m", {".gitattributes"}).code, ErrorCode::not_found);
}

}  // namespace
}  // namespace berth::sources
