// Multimodal projectors of GGUF models: what such a file says, which of several a model gets, and
// where they lie. A projector is told by its header; its name only ranks it.
#pragma once

#include "formats/file_set.h"
#include "formats/gguf.h"
#include "model/profile.h"

#include <string>
#include <string_view>
#include <vector>

namespace berth::formats {

// What a projector's table of contents says. Pure. What is missing is left empty, as older files
// have few keys. Fails with unsupported where it is no projector, with corrupt where a key has an
// impossible value.
Result<model::Projector> read_projector(const GgufFile& file, std::string path);

// A file that may be the projector of a model.
struct ProjectorCandidate {
  model::Projector projector;
  bool beside = true;  // in the model's folder; else in the root of its repository
  std::string broken;  // why it can not be read; then only path and size are known
};

// The candidates in order of preference, each with why it is taken or not; at most the first is
// chosen. Pure.
//
// One fits where the width that it projects to is the model's (llama.cpp refuses others), its type
// goes with the model's architecture, and, where both name what they were made from, these agree.
// One in the root fits where the model's folder is named for a quantisation, or where names agree.
// Of those that fit: beside the model first, then the highest precision by the types of the
// tensors, then by the name (f32, bf16, f16, q8_0), then by path.
std::vector<model::Projector> choose_projector(const model::ModelProfile& model,
                                               std::vector<ProjectorCandidate> candidates);

// Looks for the projectors of the text model at `path` in its folder of `files` and in the folder
// above (of these only what could serve it): that is within `files`, or `above` where the set ends
// at the model's folder; null where there is none. Fills `projectors`, `inputs` and `outputs`.
// Nothing for other categories. What can not be read is listed with why: no failure of a companion
// is one of the model. Blocking.
void add_projectors(model::ModelProfile& profile, const FileSet& files, std::string_view path,
                    const FileSet* above);

// The names of the models that a file says it was made from: general.base_model.*, basename.
std::vector<std::string> base_names_of(const GgufMetadata& metadata);

// What an adapter's table of contents says. Pure.
model::Adapter read_adapter(const GgufFile& file);

}  // namespace berth::formats
