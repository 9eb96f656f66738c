// HubChoice: which files of a repository a model needs, and why these.
#pragma once

#include "base/describe.h"
#include "sources/hub/listing.h"

#include <string>
#include <vector>

namespace berth::sources {

// Another model, or another quantisation of the same, in the repository.
struct HubAlternative {
  std::string quantisation;  // empty where its name tells none
  std::vector<std::string> files;
  Bytes size;
};
BOOST_DESCRIBE_STRUCT(HubAlternative, (), (quantisation, files, size))

struct HubChoice {
  std::string source;                   // "hf:org/name:Q4_K_M"
  std::string commit;                   // of the listing; empty where the hub says none
  std::string quantisation;             // of a GGUF model, where its name tells one
  std::string reason;                   // why this and none of the others
  std::vector<std::string> files;       // all that is needed, by path; of a split model all parts
  Bytes size;                           // of `files`
  std::vector<std::string> projectors;  // that may go with it, not in `files`; the model's profile
                                        // says which of them is taken
  std::vector<HubAlternative> alternatives;  // in order of preference
};
BOOST_DESCRIBE_STRUCT(HubChoice, (),
                      (source, commit, quantisation, reason, files, size, projectors, alternatives))

// Chooses by names and sizes alone; pure.
//
// A repository with a model in Hugging Face's layout (config.json or model_index.json, and weights)
// gives that, unless the name asks for a quantisation or a file; another that has GGUF files gives
// one of these, as `is_preferred` has it. With a model go:
//
// - GGUF: all parts of it ("-00001-of-00003"), and as candidates the projectors (*mmproj*.gguf)
//   beside it and in the folders above;
// - else: everything that is no weights, no picture, and not hidden; of the weights in each folder
//   what formats::named_weights has (safetensors and not .bin; no consolidated.* beside others; no
//   second copies), and nothing of other frameworks (ONNX, TensorFlow, Flax, OpenVINO, GGUF …).
//
// Fails, with field "source": not_found (no such file or quantisation: says which there are; no
// model at all; a part is missing), invalid_parameter (several models that nothing tells apart).
Result<HubChoice> choose_files(const HubListing& listing);

}  // namespace berth::sources
