#include "backends/llama_box/projector.h"

#include "backends/values.h"

#include <algorithm>
#include <filesystem>

namespace berth::backends::llama_box {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kFlag = "--mmproj";

tl::unexpected<Error> invalid(std::string message) {
  return fail(Error{
      .code = ErrorCode::invalid_parameter, .message = std::move(message), .field = "parameters"});
}

std::string file_name(const model::Projector& projector) {
  return fs::path(projector.path).filename().string();
}

fs::path folder_of(const model::ModelProfile& profile) {
  return profile.files.empty() ? fs::path() : fs::path(profile.files.front().path).parent_path();
}

// The candidate that the user means: by a path, or relative to the model's folder or the one above
// it, where its repository begins.
const model::Projector* find_candidate(const model::ModelProfile& profile, const fs::path& wish) {
  const auto folder = folder_of(profile);
  for (const auto& from : {folder, folder.parent_path()}) {
    const auto path = (from / wish).lexically_normal();  // `wish` itself where it is absolute
    for (const auto& projector : profile.projectors) {
      if (fs::path(projector.path).lexically_normal() == path) return &projector;
    }
  }
  return nullptr;
}

bool leads_outside(const fs::path& wish, const fs::path& folder) {
  const auto root = folder.parent_path();
  const auto way = (folder / wish).lexically_normal().lexically_relative(root);
  return way.empty() || *way.begin() == "..";
}

Error no_candidate(const model::ModelProfile& profile, const std::string& wish) {
  Error error{.code = ErrorCode::invalid_parameter, .message = "", .field = "parameters"};
  if (leads_outside(wish, folder_of(profile))) {
    error.message = fmt::format(
        "{} {} leads outside of the model's folder and the one above it; put the projector there",
        kFlag, wish);
    return error;
  }
  std::vector<std::string> names;
  names.reserve(profile.projectors.size());
  for (const auto& projector : profile.projectors) names.push_back(file_name(projector));
  error.message = fmt::format("{} {}: there is no such projector with the model; {}", kFlag, wish,
                              names.empty() ? std::string("there is none at all")
                                            : fmt::format("there are {}", fmt::join(names, ", ")));
  return error;
}

}  // namespace

Result<const model::Projector*> projector_of(const model::ModelProfile& profile,
                                             const ParsedParameters& parameters) {
  const auto wish = text_of(parameters, kFlag, "");
  const bool forbidden = has(parameters, "--no-mmproj");
  if (wish == "none" || (wish.empty() && forbidden)) return nullptr;
  if (forbidden) {
    return invalid(fmt::format("{} {} and --no-mmproj can not stand together", kFlag, wish));
  }
  if (profile.category != model::Category::llm) {
    if (wish.empty()) return nullptr;
    return invalid(fmt::format("{} is for language models, and this is an {} model", kFlag,
                               enum_name(profile.category)));
  }
  if (wish.empty()) {
    const auto chosen = std::ranges::find_if(profile.projectors, &model::Projector::chosen);
    return chosen == profile.projectors.end() ? nullptr : &*chosen;
  }
  const auto* projector = find_candidate(profile, wish);
  if (projector == nullptr) return fail(no_candidate(profile, wish));
  if (!projector->usable) {
    return invalid(
        fmt::format("{} {} can not serve this model: {}", kFlag, wish, projector->reason));
  }
  return projector;
}

estimate::ProjectorOptions projector_options(const ParsedParameters& parameters) {
  return {.on_device = !has(parameters, "--no-mmproj-offload"),
          .flash_attention = text_of(parameters, "--flash-attn", "auto") != "off",
          .most_tokens = number_of(parameters, "--image-max-tokens")};
}

Result<void> check_batches(const model::Projector& projector, const ParsedParameters& parameters) {
  const auto& encoder = projector.encoder;
  if (!projector.whole_images || encoder.most_tokens != 0) return {};
  const std::uint64_t merged = std::uint64_t{encoder.merge} * encoder.merge;
  const std::uint64_t tokens = encoder.patches / std::max<std::uint64_t>(merged, 1);
  for (const std::string_view flag : {"--ubatch-size", "--batch-size"}) {
    const auto given = number_of(parameters, flag);
    if (!given || *given >= tokens) continue;
    return invalid(
        fmt::format("{} {} is less than the {} tokens that this model makes of an image "
                    "and reads at once; give more, or --no-mmproj",
                    flag, *given, tokens));
  }
  return {};
}

}  // namespace berth::backends::llama_box
