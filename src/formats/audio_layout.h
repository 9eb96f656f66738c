// The layouts of audio models that vox-box serves: CosyVoice, faster-whisper, FunASR, Bark, Dia.
// Told by the files alone, in vox-box's own order (vox-box 0.0.21, vox_box/estimator).
#pragma once

#include "formats/file_set.h"
#include "model/profile.h"

#include <optional>

namespace berth::formats {

// The profile of an audio model in `files`; nothing where they are none of these layouts, such as a
// Whisper in the format of transformers, which other engines serve.
//
// `files` of the profile are the weights that vox-box loads, not all that a repository holds. Its
// model_type is the concrete architecture of a FunASR model ("SenseVoiceSmall"), and of a CosyVoice
// the file that configures it ("cosyvoice.yaml" or "cosyvoice2.yaml"); a Whisper's vocabulary tells
// whether it knows more than English (51,864 tokens are English only).
//
// One of the table in known_audio.h gets its published name, whatever its folder is called.
//
// Fails with not_found where the layout is certain and a file that vox-box needs is missing, with
// corrupt where a file that decides is broken, with too_large, permission_denied or io; names the
// file.
Result<std::optional<model::ModelProfile>> profile_audio(const FileSet& files);

}  // namespace berth::formats
