// CachePlaces: where on this machine the files of hubs lie, ours and other tools'.
#pragma once

#include "sources/hub/settings.h"

#include <filesystem>
#include <vector>

namespace berth::sources {

// Absolute paths; a folder need not be there yet.
struct CachePlaces {
  std::filesystem::path hugging_face;  // that has models--ORG--NAME
  std::filesystem::path model_scope;   // that has models/OWNER--NAME, and what older releases left
  std::filesystem::path ollama;        // that has blobs and manifests
  // Folders that are read and never written, each with huggingface/ORG/NAME and
  // model_scope/OWNER/NAME below it: GPUStack's <data>/cache.
  std::vector<std::filesystem::path> others;
  // As `ollama`, and read only: that of Ollama's service, which runs as a user of its own.
  std::vector<std::filesystem::path> other_ollama;
  // Berth's own: what it found out of files whose layout does not tell their digests. Empty:
  // nothing is remembered.
  std::filesystem::path known_digests;
};

// Where the hubs' own tools put them, by the same variables: HF_HUB_CACHE, HUGGINGFACE_HUB_CACHE,
// HF_HOME, XDG_CACHE_HOME; MODELSCOPE_CACHE; OLLAMA_MODELS; else below HOME. Other places:
// BERTH_MODEL_CACHES, a list of folders with ":" between them, and /var/lib/gpustack/cache. "~" at
// the beginning is HOME. Fails with invalid_parameter, naming the variable, where one holds no
// absolute path.
Result<CachePlaces> read_cache_places(const EnvironmentLookup& lookup);
Result<CachePlaces> read_cache_places();

}  // namespace berth::sources
