#include "formats/known_audio.h"

#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::formats {
namespace {

TEST(KnownAudio, HasTheEighteenModelsEachOnce) {
  std::set<std::string_view> names;
  for (const auto& model : known_audio_models()) names.insert(model.name);
  EXPECT_EQ(known_audio_models().size(), 18U);
  EXPECT_EQ(names.size(), 18U);
}

TEST(KnownAudio, CarriesTheNameOfItsHubInEachId) {
  for (const auto& model : known_audio_models()) {
    EXPECT_EQ(find_known_audio(model.model_scope), &model) << model.name;
    if (model.hugging_face.empty()) continue;
    EXPECT_EQ(find_known_audio(model.hugging_face), &model) << model.name;
  }
}

TEST(KnownAudio, FindsAFolderWhateverItsCaseAndPlace) {
  const auto* whisper = find_known_audio("Systran/faster-whisper-large-v3");
  ASSERT_NE(whisper, nullptr);
  EXPECT_EQ(whisper->category, model::Category::speech_to_text);
  EXPECT_EQ(find_known_audio("/models/FASTER-whisper-large-v3/"), whisper);
  EXPECT_EQ(find_known_audio("/hub/models--Systran--faster-whisper-large-v3/snapshots/edaa852"),
            whisper);
  EXPECT_EQ(find_known_audio("faster-whisper-large"), nullptr);
  EXPECT_EQ(find_known_audio(""), nullptr);
}

TEST(KnownAudio, Has25HzOnModelScopeOnly) {
  const auto* model = find_known_audio("CosyVoice-300M-25Hz");
  ASSERT_NE(model, nullptr);
  EXPECT_EQ(model->hugging_face, "");
  EXPECT_EQ(model->model_scope, "iic/CosyVoice-300M-25Hz");
}

TEST(KnownAudio, KnowsARenamedFolderByItsWeights) {
  const model::ModelProfile small = {
      .name = "my-model", .architecture = "faster-whisper", .total_size = {483'546'902}};
  ASSERT_NE(find_known_audio(small), nullptr);
  EXPECT_EQ(find_known_audio(small)->name, "Faster-whisper-small");

  // Two models have weights of this size.
  const model::ModelProfile large = {
      .name = "my-model", .architecture = "faster-whisper", .total_size = {3'086'912'962}};
  EXPECT_EQ(find_known_audio(large), nullptr);

  const model::ModelProfile named = {.name = "faster-whisper-large-v1",
                                     .architecture = "faster-whisper",
                                     .total_size = {3'086'912'962}};
  ASSERT_NE(find_known_audio(named), nullptr);
  EXPECT_EQ(find_known_audio(named)->name, "Faster-whisper-large-v1");
}

}  // namespace
}  // namespace berth::formats
