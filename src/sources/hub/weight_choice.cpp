#include "sources/hub/weight_choice.h"

#include "formats/weight_files.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

namespace berth::sources {
namespace {

// Weights of frameworks that no backend of Berth's loads.
constexpr auto kForeign = std::to_array<std::string_view>(
    {".h5", ".msgpack", ".ot", ".tflite", ".mlmodel", ".gguf", ".ggml", ".llamafile", ".pdparams"});
// Weights that speech models have beside others of theirs, but language models as copies only.
constexpr auto kOnnx = std::to_array<std::string_view>({".onnx", ".onnx_data", ".onnx.data"});
constexpr auto kTorch =
    std::to_array<std::string_view>({".safetensors", ".bin", ".pt", ".pth", ".ckpt"});
constexpr auto kPictures = std::to_array<std::string_view>(
    {".png", ".jpg", ".jpeg", ".gif", ".webp", ".svg", ".mp4", ".pdf"});
// Folders of copies for other programs.
constexpr auto kForeignFolders =
    std::to_array<std::string_view>({"onnx/", "openvino/", "coreml/", "tflite/"});
// Folders of copies, where the repository's root has weights.
constexpr auto kCopyFolders =
    std::to_array<std::string_view>({"original/", "metal/", "gguf/", "runs/", "checkpoint-"});

bool ends_with_any(std::string_view text, const auto& ends) {
  return std::ranges::any_of(ends, [&](std::string_view end) { return text.ends_with(end); });
}

bool starts_with_any(std::string_view text, const auto& begins) {
  return std::ranges::any_of(begins,
                             [&](std::string_view begin) { return text.starts_with(begin); });
}

bool is_hidden(std::string_view path) {
  return path.starts_with('.') || path.find("/.") != std::string_view::npos;
}

std::string folder_of(std::string_view path) {
  return std::string(path.substr(0, path.rfind('/') + 1));
}

std::vector<formats::FileEntry> entries_of(const HubListing& listing) {
  std::vector<formats::FileEntry> entries;
  entries.reserve(listing.files.size());
  for (const auto& file : listing.files) entries.push_back({file.path, file.size});
  return entries;
}

// What of a folder's weights is loaded.
struct Loaded {
  std::set<std::string> paths;
  bool has_copies_only = false;  // of these weights, in ONNX and in other formats of PyTorch
};

Loaded loaded_in(const std::vector<formats::FileEntry>& entries, const std::string& folder) {
  Loaded loaded;
  const auto weights = formats::named_weights(entries, folder);
  for (const auto& file : weights.files) loaded.paths.insert(file.path);
  loaded.has_copies_only = !weights.files.empty() && !weights.files.front().path.ends_with(".pt");
  return loaded;
}

bool is_needed(const std::string& path, const Loaded& loaded) {
  if (is_hidden(path) || ends_with_any(path, kPictures) || ends_with_any(path, kForeign)) {
    return false;
  }
  if (!loaded.has_copies_only) return true;
  if (ends_with_any(path, kOnnx)) return false;
  return !ends_with_any(path, kTorch) || loaded.paths.contains(path);
}

}  // namespace

bool has_layout(const HubListing& listing) {
  if (listing.find("model_index.json") != nullptr) return true;
  return listing.find("config.json") != nullptr &&
         !formats::named_weights(entries_of(listing)).files.empty();
}

std::vector<const HubFile*> needed_of_layout(const HubListing& listing) {
  const auto entries = entries_of(listing);
  // A pipeline's weights are in its folders; what lies beside them is the same in one file.
  const bool is_pipeline = listing.find("model_index.json") != nullptr;
  const bool has_root = !formats::named_weights(entries).files.empty();
  std::map<std::string, Loaded> by_folder;
  std::vector<const HubFile*> needed;
  for (const auto& file : listing.files) {
    const std::string folder = folder_of(file.path);
    if (starts_with_any(folder, kForeignFolders) ||
        (has_root && starts_with_any(folder, kCopyFolders)) ||
        (is_pipeline && folder.empty() && ends_with_any(file.path, kTorch))) {
      continue;
    }
    auto [found, is_new] = by_folder.try_emplace(folder);
    if (is_new) found->second = loaded_in(entries, folder);
    if (is_needed(file.path, found->second)) needed.push_back(&file);
  }
  return needed;
}

}  // namespace berth::sources
