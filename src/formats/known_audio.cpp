#include "formats/known_audio.h"

#include "formats/layout_files.h"

#include <algorithm>
#include <array>

namespace berth::formats {
namespace {

using enum model::Category;

// GPUStack 0.7, "Inference Backends", vox-box, "Supported Models". Sizes are those of model.bin.
constexpr auto kModels = std::to_array<KnownAudioModel>({
    {.name = "Faster-whisper-large-v3",
     .hugging_face = "Systran/faster-whisper-large-v3",
     .model_scope = "gpustack/faster-whisper-large-v3",
     .architecture = "faster-whisper",
     .category = speech_to_text,
     .weights = {3'087'284'237}},
    {.name = "Faster-whisper-large-v2",
     .hugging_face = "Systran/faster-whisper-large-v2",
     .model_scope = "gpustack/faster-whisper-large-v2",
     .architecture = "faster-whisper",
     .category = speech_to_text,
     .weights = {3'086'912'962}},
    {.name = "Faster-whisper-large-v1",
     .hugging_face = "Systran/faster-whisper-large-v1",
     .model_scope = "gpustack/faster-whisper-large-v1",
     .architecture = "faster-whisper",
     .category = speech_to_text,
     .weights = {3'086'912'962}},
    {.name = "Faster-whisper-medium",
     .hugging_face = "Systran/faster-whisper-medium",
     .model_scope = "gpustack/faster-whisper-medium",
     .architecture = "faster-whisper",
     .category = speech_to_text,
     .weights = {1'527'906'378}},
    {.name = "Faster-whisper-medium.en",
     .hugging_face = "Systran/faster-whisper-medium.en",
     .model_scope = "gpustack/faster-whisper-medium.en",
     .architecture = "faster-whisper",
     .category = speech_to_text,
     .weights = {1'527'904'330}},
    {.name = "Faster-whisper-small",
     .hugging_face = "Systran/faster-whisper-small",
     .model_scope = "gpustack/faster-whisper-small",
     .architecture = "faster-whisper",
     .category = speech_to_text,
     .weights = {483'546'902}},
    {.name = "Faster-whisper-small.en",
     .hugging_face = "Systran/faster-whisper-small.en",
     .model_scope = "gpustack/faster-whisper-small.en",
     .architecture = "faster-whisper",
     .category = speech_to_text,
     .weights = {483'545'366}},
    {.name = "Faster-distil-whisper-large-v3",
     .hugging_face = "Systran/faster-distil-whisper-large-v3",
     .model_scope = "gpustack/faster-distil-whisper-large-v3",
     .architecture = "faster-whisper",
     .category = speech_to_text,
     .weights = {1'512'927'867}},
    {.name = "Faster-distil-whisper-large-v2",
     .hugging_face = "Systran/faster-distil-whisper-large-v2",
     .model_scope = "gpustack/faster-distil-whisper-large-v2",
     .architecture = "faster-whisper",
     .category = speech_to_text,
     .weights = {1'512'556'667}},
    {.name = "Faster-distil-whisper-medium.en",
     .hugging_face = "Systran/faster-distil-whisper-medium.en",
     .model_scope = "gpustack/faster-distil-whisper-medium.en",
     .architecture = "faster-whisper",
     .category = speech_to_text},
    {.name = "Faster-whisper-tiny",
     .hugging_face = "Systran/faster-whisper-tiny",
     .model_scope = "gpustack/faster-whisper-tiny",
     .architecture = "faster-whisper",
     .category = speech_to_text,
     .weights = {75'538'270}},
    {.name = "Faster-whisper-tiny.en",
     .hugging_face = "Systran/faster-whisper-tiny.en",
     .model_scope = "gpustack/faster-whisper-tiny.en",
     .architecture = "faster-whisper",
     .category = speech_to_text,
     .weights = {75'537'502}},
    {.name = "CosyVoice-300M-Instruct",
     .hugging_face = "FunAudioLLM/CosyVoice-300M-Instruct",
     .model_scope = "gpustack/CosyVoice-300M-Instruct",
     .architecture = "cosyvoice",
     .category = text_to_speech},
    {.name = "CosyVoice-300M-SFT",
     .hugging_face = "FunAudioLLM/CosyVoice-300M-SFT",
     .model_scope = "iic/CosyVoice-300M-SFT",
     .architecture = "cosyvoice",
     .category = text_to_speech},
    {.name = "CosyVoice-300M",
     .hugging_face = "FunAudioLLM/CosyVoice-300M",
     .model_scope = "gpustack/CosyVoice-300M",
     .architecture = "cosyvoice",
     .category = text_to_speech},
    {.name = "CosyVoice-300M-25Hz",
     .hugging_face = "",
     .model_scope = "iic/CosyVoice-300M-25Hz",
     .architecture = "cosyvoice",
     .category = text_to_speech},
    {.name = "CosyVoice2-0.5B",
     .hugging_face = "FunAudioLLM/CosyVoice2-0.5B",
     .model_scope = "iic/CosyVoice2-0.5B",
     .architecture = "cosyvoice2",
     .category = text_to_speech},
    {.name = "Dia-1.6B",
     .hugging_face = "nari-labs/Dia-1.6B",
     .model_scope = "nari-labs/Dia-1.6B",
     .architecture = "dia",
     .category = text_to_speech},
});

}  // namespace

std::span<const KnownAudioModel> known_audio_models() { return kModels; }

const KnownAudioModel* find_known_audio(std::string_view id_or_folder) {
  const std::string name = lower_case(folder_name(id_or_folder));
  const auto* found = std::ranges::find_if(
      kModels, [&](const KnownAudioModel& model) { return lower_case(model.name) == name; });
  return found == kModels.end() ? nullptr : found;
}

const KnownAudioModel* find_known_audio(const model::ModelProfile& profile) {
  if (const auto* named = find_known_audio(profile.name)) return named;
  const KnownAudioModel* found = nullptr;
  for (const KnownAudioModel& model : kModels) {
    if (model.weights == 0_B || model.weights != profile.total_size ||
        model.architecture != profile.architecture) {
      continue;
    }
    if (found != nullptr) return nullptr;
    found = &model;
  }
  return found;
}

}  // namespace berth::formats
