// The audio models that vox-box is known to serve, with where they are published. A model that is
// not in the table is served too if its layout is one of vox-box's.
#pragma once

#include "model/profile.h"

#include <span>
#include <string_view>

namespace berth::formats {

struct KnownAudioModel {
  std::string_view name;          // "Faster-whisper-large-v3"
  std::string_view hugging_face;  // "Systran/faster-whisper-large-v3"; empty where it is not there
  std::string_view model_scope;
  std::string_view architecture;  // as ModelProfile's: "faster-whisper"
  model::Category category;
  Bytes weights = {};  // of the published files that the engine loads; 0 = not known
};

// Each model once. They live as long as the program.
std::span<const KnownAudioModel> known_audio_models();

// By id on a hub, or by the name of a folder, whatever its case; null where it is not in the table.
const KnownAudioModel* find_known_audio(std::string_view id_or_folder);
// By the name of a profile, else by its architecture and the size of its weights, if only one model
// has both.
const KnownAudioModel* find_known_audio(const model::ModelProfile& profile);

}  // namespace berth::formats
