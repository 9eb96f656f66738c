#include "formats/audio_layout.h"

#include "formats/ctranslate2_builder.h"
#include "formats/layout_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::formats {
namespace {

using model::Category;
using model::FileFormat;
using model::Modality;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

using Files = std::map<std::string, std::string>;
using Profile = std::optional<model::ModelProfile>;

Result<Profile> profile(Files files) { return profile_audio(*files_in_memory(std::move(files))); }

// The profile of a layout that must be known.
model::ModelProfile known(Files files) {
  auto found = profile(std::move(files));
  if (!found || !*found) {
    ADD_FAILURE() << (found ? "it is no audio layout" : found.error().to_string());
    return {};
  }
  return **std::move(found);
}

void expect_unknown(Files files) {
  const auto found = profile(std::move(files));
  ASSERT_TRUE(found) << found.error().to_string();
  EXPECT_FALSE(*found);
}

Error refused(Files files) {
  auto found = profile(std::move(files));
  if (!found) return found.error();
  ADD_FAILURE() << "it was taken";
  return {};
}

std::vector<std::string> paths_of(const model::ModelProfile& profile) {
  std::vector<std::string> paths;
  paths.reserve(profile.files.size());
  for (const auto& file : profile.files) paths.push_back(file.path);
  return paths;
}

// Systran/faster-whisper-tiny … large-v2: no preprocessor_config.json.
Files whisper_files() {
  return {{"README.md", "# Whisper"},
          {"config.json", R"({"alignment_heads": [[2, 2]], "lang_ids": [50259],
                             "suppress_ids": [1], "suppress_ids_begin": [220, 50257]})"},
          {"model.bin", small_whisper()},
          {"tokenizer.json", "{}"},
          {"vocabulary.txt", "!\n"}};
}

Files cosyvoice_files() {
  return {{"cosyvoice.yaml", "llm: !new:cosyvoice.llm.llm.TransformerLM\n"},
          {"configuration.json", R"({"framework":"Pytorch","task":"text-to-speech"})"},
          {"campplus.onnx", "1"},
          {"flow.decoder.estimator.fp32.onnx", "not loaded"},
          {"flow.encoder.fp32.zip", "12"},
          {"flow.pt", "123"},
          {"hift.pt", "1234"},
          {"llm.llm.fp16.zip", "12345"},
          {"llm.llm.fp32.zip", "not loaded"},
          {"llm.pt", "123456"},
          {"llm.text_encoder.fp16.zip", "1234567"},
          {"speech_tokenizer_v1.onnx", "12345678"},
          {"spk2info.pt", "123456789"}};
}

Files cosyvoice2_files() {
  return {{"cosyvoice2.yaml", "llm: !new:cosyvoice.llm.llm.Qwen2LM\n"},
          {"config.json", "{}"},
          {"configuration.json", R"({"framework":"Pytorch","task":"text-to-speech"})"},
          {"CosyVoice-BlankEN/config.json", R"({"architectures": ["Qwen2ForCausalLM"]})"},
          {"CosyVoice-BlankEN/model.safetensors", "1"},
          {"campplus.onnx", "12"},
          {"flow.decoder.estimator.fp32.onnx", "not loaded"},
          {"flow.encoder.fp16.zip", "not loaded"},
          {"flow.pt", "123"},
          {"hift.pt", "1234"},
          {"llm.pt", "12345"},
          {"speech_tokenizer_v2.batch.onnx", "not loaded"},
          {"speech_tokenizer_v2.onnx", "123456"}};
}

Files sense_voice_files() {
  return {{"am.mvn", "<Nnet>"},
          {"chn_jpn_yue_eng_ko_spectok.bpe.model", "tokens"},
          {"config.yaml",
           "encoder: SenseVoiceEncoderSmall\nencoder_conf:\n    model: nested\n"
           "model: SenseVoiceSmall  # the small one\n"},
          {"configuration.json",
           R"({"framework": "pytorch", "task": "auto-speech-recognition",
               "model": {"type": "funasr"}, "pipeline": {"type": "funasr-pipeline"},
               "file_path_metas": {"init_param": "model.pt", "config": "config.yaml"}})"},
          {"model.pt", "1234"}};
}

Files bark_files() {
  return {{"config.json", R"({"architectures": ["BarkModel"], "model_type": "bark"})"},
          {"coarse.pt", "not loaded"},
          {"coarse_2.pt", "not loaded"},
          {"pytorch_model.bin", "12345"},
          {"speaker_embeddings_path.json", "{}"},
          {"text_2.pt", "not loaded"}};
}

Files dia_files() {
  return {{"config.json",
           R"({"version": "0.1", "data": {"audio_bos_value": 1026, "audio_eos_value": 1024,
               "audio_length": 3072, "audio_pad_value": 1025, "channels": 9,
               "delay_pattern": [0, 8, 9], "text_length": 1024, "text_pad_value": 0}})"},
          {"dia-v0_1.pth", "not loaded"},
          {"model.safetensors", "123456"}};
}

TEST(AudioLayout, KnowsFasterWhisperByItsWeights) {
  const auto found = known(whisper_files());
  EXPECT_EQ(found.architecture, "faster-whisper");
  EXPECT_EQ(found.category, Category::speech_to_text);
  EXPECT_EQ(found.format, FileFormat::ctranslate2);
  EXPECT_THAT(found.inputs, ElementsAre(Modality::audio));
  EXPECT_THAT(found.outputs, ElementsAre(Modality::text));
  EXPECT_THAT(paths_of(found), ElementsAre("/memory/model.bin"));
  EXPECT_EQ(found.total_size, Bytes{small_whisper().size()});
  EXPECT_EQ(found.vocabulary, 51865U);
  EXPECT_EQ(found.weight_type, "F16");
  EXPECT_EQ(found.context_length, 0U);
}

TEST(AudioLayout, KnowsQuantisedWhisper) {
  auto files = whisper_files();
  files["model.bin"] = CTranslate2Builder("WhisperSpec")
                           .variable("decoder/embeddings/weight", {51864, 2}, 1, 51864 * 2)
                           .build();
  const auto found = known(std::move(files));
  EXPECT_EQ(found.quantization, "INT8");
  EXPECT_EQ(found.weight_type, "");
  EXPECT_EQ(found.vocabulary, 51864U);
}

TEST(AudioLayout, NamesTheTokenizerThatWhisperLacks) {
  auto files = whisper_files();
  files.erase("tokenizer.json");
  const auto error = refused(std::move(files));
  EXPECT_EQ(error.code, ErrorCode::not_found);
  EXPECT_THAT(error.message, HasSubstr("tokenizer.json"));
}

TEST(AudioLayout, NamesTheWeightsThatWhisperLacks) {
  auto files = whisper_files();
  files.erase("model.bin");
  const auto error = refused(std::move(files));
  EXPECT_EQ(error.code, ErrorCode::not_found);
  EXPECT_THAT(error.message, HasSubstr("model.bin"));
}

TEST(AudioLayout, TellsWhenWhispersWeightsAreSomethingElse) {
  const std::string pointer = "version https://git-lfs.github.com/spec/v1\n";
  auto plain = whisper_files();
  plain["model.bin"] = pointer;
  EXPECT_THAT(refused(plain).message, HasSubstr("/memory/model.bin"));

  const Files large = {{"config.json", "{}"},
                       {"model.bin", pointer},
                       {"preprocessor_config.json", R"({"processor_class": "WhisperProcessor"})"},
                       {"tokenizer.json", "{}"}};
  EXPECT_EQ(refused(large).code, ErrorCode::corrupt);

  auto cut = whisper_files();
  cut["model.bin"].resize(40);
  EXPECT_THAT(refused(cut).to_string(), HasSubstr("/memory/model.bin"));
}

TEST(AudioLayout, LeavesOtherModelsToOthers) {
  // Whisper of transformers.
  expect_unknown({{"config.json", R"({"architectures": ["WhisperForConditionalGeneration"],
                                     "suppress_tokens": []})"},
                  {"generation_config.json", R"({"alignment_heads": [[3, 1]]})"},
                  {"model.safetensors", "x"},
                  {"preprocessor_config.json", R"({"processor_class": "WhisperProcessor"})"},
                  {"tokenizer.json", "{}"}});
  // A translator of CTranslate2.
  expect_unknown({{"config.json", R"({"add_source_eos": false})"},
                  {"model.bin", CTranslate2Builder("TransformerSpec").build()},
                  {"tokenizer.json", "{}"}});
  // Dia in the format of transformers, and a language model of ModelScope.
  expect_unknown({{"config.json", R"({"architectures": ["DiaForConditionalGeneration"]})"},
                  {"model.safetensors", "x"}});
  expect_unknown({{"config.json", R"({"architectures": ["Qwen2ForCausalLM"], "data": [1]})"},
                  {"configuration.json", R"({"framework": "pytorch", "task": "text-generation"})"},
                  {"model.safetensors", "x"}});
  expect_unknown({{"config.json", R"({"architectures": ["QWenLMHeadModel"]})"}});
  expect_unknown({{"model.bin", "who knows"}, {"tokenizer.json", "{}"}});
  expect_unknown({{"cosyvoice3.yaml", "llm: !new:cosyvoice.llm.llm.CosyVoice3LM\n"}});
  expect_unknown({{"model.gguf", "GGUF"}});
  expect_unknown({});
}

TEST(AudioLayout, CountsWhatCosyVoiceLoads) {
  const auto found = known(cosyvoice_files());
  EXPECT_EQ(found.architecture, "cosyvoice");
  EXPECT_EQ(found.category, Category::text_to_speech);
  EXPECT_EQ(found.format, FileFormat::pytorch);
  EXPECT_THAT(found.inputs, ElementsAre(Modality::text));
  EXPECT_THAT(found.outputs, ElementsAre(Modality::audio));
  EXPECT_THAT(paths_of(found),
              ElementsAre("/memory/llm.pt", "/memory/flow.pt", "/memory/hift.pt",
                          "/memory/campplus.onnx", "/memory/speech_tokenizer_v1.onnx",
                          "/memory/spk2info.pt", "/memory/llm.text_encoder.fp16.zip",
                          "/memory/llm.llm.fp16.zip", "/memory/flow.encoder.fp32.zip"));
  EXPECT_EQ(found.total_size, Bytes{1 + 2 + 3 + 4 + 5 + 6 + 7 + 8 + 9});
}

TEST(AudioLayout, KnowsCosyVoice2UnderBothNamesOfItsConfiguration) {
  const auto later = known(cosyvoice2_files());
  EXPECT_EQ(later.architecture, "cosyvoice2");
  EXPECT_THAT(paths_of(later),
              ElementsAre("/memory/llm.pt", "/memory/flow.pt", "/memory/hift.pt",
                          "/memory/campplus.onnx", "/memory/speech_tokenizer_v2.onnx",
                          "/memory/CosyVoice-BlankEN/model.safetensors"));
  EXPECT_EQ(later.total_size, Bytes{1 + 2 + 3 + 4 + 5 + 6});

  EXPECT_EQ(later.model_type, "cosyvoice2.yaml");

  auto first = cosyvoice2_files();
  first["cosyvoice.yaml"] = first.extract("cosyvoice2.yaml").mapped();
  const auto earlier = known(std::move(first));
  EXPECT_EQ(earlier.architecture, "cosyvoice2");
  EXPECT_EQ(earlier.model_type, "cosyvoice.yaml");
}

TEST(AudioLayout, NamesEachFileThatCosyVoiceLacks) {
  for (const char* path : {"llm.pt", "flow.pt", "hift.pt", "campplus.onnx",
                           "speech_tokenizer_v2.onnx", "CosyVoice-BlankEN/model.safetensors"}) {
    auto files = cosyvoice2_files();
    files.erase(path);
    const auto error = refused(std::move(files));
    EXPECT_EQ(error.code, ErrorCode::not_found);
    EXPECT_THAT(error.message, AllOf(HasSubstr(path), HasSubstr("memory")));
  }
}

TEST(AudioLayout, KnowsFunAsrAndItsConcreteModel) {
  const auto found = known(sense_voice_files());
  EXPECT_EQ(found.architecture, "funasr");
  EXPECT_EQ(found.model_type, "SenseVoiceSmall");
  EXPECT_EQ(found.category, Category::speech_to_text);
  EXPECT_EQ(found.format, FileFormat::pytorch);
  EXPECT_THAT(paths_of(found), ElementsAre("/memory/model.pt"));
}

TEST(AudioLayout, TakesTheWeightsThatFunAsrNames) {
  auto files = sense_voice_files();
  files["configuration.json"] =
      R"({"task": "auto-speech-recognition", "model": {"type": "funasr"},
          "file_path_metas": {"init_param": "large.pt", "config": "../../etc/passwd"}})";
  files["large.pt"] = "12";
  const auto found = known(files);
  EXPECT_THAT(paths_of(found), ElementsAre("/memory/large.pt"));
  EXPECT_EQ(found.model_type, "");

  files.erase("large.pt");
  EXPECT_THAT(refused(files).message, HasSubstr("large.pt"));
}

TEST(AudioLayout, KnowsQwenAudioWithItsOwnCode) {
  const auto found =
      known({{"config.json", R"({"architectures": ["QWenLMHeadModel"], "audio": {"n_layer": 32},
                           "auto_map": {"AutoConfig": "configuration_qwen.QWenConfig"}})"},
             {"model-00001-of-00002.safetensors", "12"},
             {"model-00002-of-00002.safetensors", "123"},
             {"model.safetensors.index.json",
              R"({"weight_map": {"a": "model-00002-of-00002.safetensors",
                           "b": "model-00001-of-00002.safetensors",
                           "c": "model-00001-of-00002.safetensors"}})"}});
  EXPECT_EQ(found.architecture, "funasr");
  EXPECT_EQ(found.model_type, "QwenAudio");
  EXPECT_TRUE(found.needs_own_code);
  EXPECT_EQ(found.format, FileFormat::safetensors);
  EXPECT_THAT(paths_of(found), ElementsAre("/memory/model-00001-of-00002.safetensors",
                                           "/memory/model-00002-of-00002.safetensors"));
  EXPECT_EQ(found.total_size, 5_B);
}

TEST(AudioLayout, KnowsBarkAndLeavesItsOlderWeightsOut) {
  auto files = bark_files();
  const auto found = known(files);
  EXPECT_EQ(found.architecture, "bark");
  EXPECT_EQ(found.category, Category::text_to_speech);
  EXPECT_EQ(found.format, FileFormat::pytorch);
  EXPECT_THAT(paths_of(found), ElementsAre("/memory/pytorch_model.bin"));

  files["model.safetensors"] = "1234";
  EXPECT_THAT(paths_of(known(files)), ElementsAre("/memory/model.safetensors"));

  files.erase("model.safetensors");
  files.erase("pytorch_model.bin");
  EXPECT_THAT(refused(files).message,
              AllOf(HasSubstr("model.safetensors"), HasSubstr("pytorch_model.bin")));
}

TEST(AudioLayout, KnowsDia) {
  auto files = dia_files();
  const auto found = known(files);
  EXPECT_EQ(found.architecture, "dia");
  EXPECT_EQ(found.category, Category::text_to_speech);
  EXPECT_THAT(paths_of(found), ElementsAre("/memory/model.safetensors"));

  files.erase("model.safetensors");
  EXPECT_THAT(refused(files).message, HasSubstr("model.safetensors"));
}

TEST(AudioLayout, NeedsEachOfDiasKeys) {
  expect_unknown({{"config.json", R"({"data": {"audio_bos_value": 1026, "audio_eos_value": 1024,
                                     "audio_length": 3072, "audio_pad_value": 1025}})"},
                  {"model.safetensors", "x"}});
}

TEST(AudioLayout, RefusesAConfigurationThatIsNone) {
  const auto list = refused({{"config.json", R"(["BarkModel"])"}, {"pytorch_model.bin", "x"}});
  EXPECT_EQ(list.code, ErrorCode::corrupt);
  EXPECT_THAT(list.message, HasSubstr("config.json"));
  EXPECT_EQ(refused({{"config.json", ""}}).code, ErrorCode::corrupt);
  EXPECT_EQ(refused({{"config.json", std::string(17 << 20, ' ')}}).code, ErrorCode::too_large);
  EXPECT_EQ(refused({{"cosyvoice.yaml", std::string(17 << 20, ' ')}}).code, ErrorCode::too_large);
}

TEST(AudioLayout, IsNotMisledByOddTypes) {
  for (const char* config :
       {R"({"architectures": "BarkModel"})", R"({"architectures": [1, null]})",
        R"({"data": "audio_bos_value"})", R"({"architectures": ["QWenLMHeadModel"], "audio": 1})",
        R"({"architectures": ["QWenLMHeadModel"], "audio": {"n_layer": "many"}})"}) {
    expect_unknown({{"config.json", config}});
  }
  for (const char* configuration :
       {"[]", "", "{", R"({"task": "auto-speech-recognition"})",
        R"({"task": "auto-speech-recognition", "model": "funasr"})",
        R"({"task": ["auto-speech-recognition"], "model": {"type": "funasr"}})"}) {
    expect_unknown({{"configuration.json", configuration}, {"model.pt", "x"}});
  }
}

TEST(FolderName, IsTheLastComponentOrTheRepositoryOfACache) {
  EXPECT_EQ(folder_name("/models/bark-small"), "bark-small");
  EXPECT_EQ(folder_name("/models/bark-small//"), "bark-small");
  EXPECT_EQ(folder_name("bark"), "bark");
  EXPECT_EQ(
      folder_name("/hub/models--suno--bark/snapshots/70a8a7d34168586dc5d028fa9666aceade177992"),
      "bark");
  EXPECT_EQ(folder_name("/snapshots/1"), "1");
  EXPECT_EQ(folder_name("/"), "");
  EXPECT_EQ(folder_name(""), "");
}

}  // namespace
}  // namespace berth::formats
