// HubName: what the user calls a model on a hub, taken apart and checked.
#pragma once

#include "base/result.h"
#include "model/repository_files.h"

#include <string>
#include <string_view>

namespace berth::sources {

using model::Hub;

// "Hugging Face", for messages.
std::string_view title_of(Hub hub);

// A model on a hub. Parts that were not given are empty. A value; free to copy.
struct HubName {
  Hub hub = Hub::hugging_face;
  std::string repository;    // "org/name"; "library/name" for Ollama's own
  std::string revision;      // branch, tag or commit; for Ollama the tag
  std::string quantisation;  // "Q4_K_M", as it was written
  std::string file;          // "folder/model.gguf"

  friend bool operator==(const HubName&, const HubName&) = default;
};

// Whether `text` is meant as the name of a model on a hub: it begins with hf:, huggingface:,
// hf.co/, huggingface.co/, ms:, modelscope: or ollama:.
bool is_hub_name(std::string_view text);

// Reads
//
//   hf:ORG/NAME[:QUANT | /FILE][@REVISION]      also hf.co/ORG/NAME…
//   ms:OWNER/NAME[:QUANT | /FILE][@REVISION]
//   ollama:[NAMESPACE/]NAME[:TAG]
//
// by the hubs' own rules for names, so that what is read can stand in an address and in a path.
// Fails with invalid_parameter (field "source"), saying what is wrong and the form that is wanted.
Result<HubName> parse_hub_name(std::string_view text);

// As the user would write it, in its shortest form: "hf:org/name:Q4_K_M@v1".
std::string to_text(const HubName& name);

// Whether `path` may be the path of a file in a repository: relative, of plain components, and
// fit to be one below a folder of this machine. What a hub lists is checked by it as well.
bool is_repository_path(std::string_view path);

}  // namespace berth::sources
