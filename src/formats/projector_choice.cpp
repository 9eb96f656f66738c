// choose_projector and add_projectors: which projector a model gets.
#include "formats/cursor.h"
#include "formats/layout_files.h"
#include "formats/projector.h"
#include "formats/projector_types.h"

#include <algorithm>
#include <array>
#include <tuple>

namespace berth::formats {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostCandidates = 64;
// The architecture is a file's first key, so a look at its beginning tells a projector.
constexpr std::uint64_t kLook = 4096;

// Letters and digits alone, so that "Gemma 3 4b It" is "gemma-3-4b-it".
std::string plain(std::string_view text) {
  std::string out = lower_case(text);
  std::erase_if(out, [](unsigned char c) { return std::isalnum(c) == 0; });
  return out;
}

std::string file_name(const model::Projector& projector) {
  return fs::path(projector.path).filename().string();
}

// Bits of a weight; 0 for a type that is not known.
double bits_of(std::string_view precision) {
  for (std::uint32_t id = 0; id < 64; ++id) {
    const GgmlType* type = ggml_type(id);
    if (type != nullptr && type->name == precision)
      return 8.0 * type->block_bytes / type->block_elements;
  }
  return 0;
}

int name_rank(const std::string& name) {
  constexpr auto kWords = std::to_array<std::string_view>({"f32", "bf16", "f16", "q8_0"});
  const auto* found = std::ranges::find_if(
      kWords, [&](std::string_view word) { return name.find(word) != std::string::npos; });
  return static_cast<int>(found - kWords.begin());
}

enum class Agreement { unknown, yes, no };

// Whether one of the names is, or begins, one of the others: a quantisation may name the model
// that it was made of, and its projector the family.
Agreement agreement(const std::vector<std::string>& ours, const std::vector<std::string>& theirs) {
  if (ours.empty() || theirs.empty()) return Agreement::unknown;
  for (const auto& one : ours) {
    for (const auto& other : theirs) {
      const auto left = plain(one);
      const auto right = plain(other);
      if (left.empty() || right.empty()) continue;
      if (left.starts_with(right) || right.starts_with(left)) return Agreement::yes;
    }
  }
  return Agreement::no;
}

// "Q4_K_M", "UD-IQ2_XXS", "BF16": a folder for one quantisation of a repository.
bool names_quantisation(std::string_view folder) {
  const auto text = lower_case(folder);
  for (const std::string_view word : {"bf16", "f16", "f32", "fp16", "fp32", "mxfp4", "nvfp4"}) {
    if (text.find(word) != std::string::npos) return true;
  }
  for (std::size_t i = 0; i + 2 < text.size(); ++i) {
    if (text[i] == 'q' && std::isdigit(static_cast<unsigned char>(text[i + 1])) != 0 &&
        text[i + 2] == '_') {
      return true;
    }
  }
  return false;
}

bool width_fits(const model::ModelProfile& model, const model::Projector& projector) {
  const std::uint64_t parts = model.embedding_parts == 0 ? projector.parts : model.embedding_parts;
  return projector.width == model.embedding_length * parts;
}

struct Verdict {
  bool usable = false;  // the engine takes it
  bool fits = false;
  std::string why_not = {};
};

Verdict judge(const model::ModelProfile& model, const ProjectorCandidate& candidate) {
  const auto& projector = candidate.projector;
  if (!candidate.broken.empty()) return {.why_not = "it can not be read: " + candidate.broken};
  if (!projector.vision && !projector.audio) return {.why_not = "it has no encoder"};
  if (projector.width == 0) {
    return {.usable = true, .why_not = "it does not say the width that it projects to"};
  }
  if (!width_fits(model, projector)) {
    const auto parts = model.embedding_parts == 0 ? projector.parts : model.embedding_parts;
    return {.why_not = fmt::format("it projects to {} elements, and the model takes {}",
                                   projector.width, std::uint64_t{model.embedding_length} * parts)};
  }
  const auto* type = projector_type(projector.type);
  if (type != nullptr && !model.architecture.starts_with(type->architecture)) {
    return {.usable = true,
            .why_not = fmt::format("it is of {}, and the model is a \"{}\"", type->family,
                                   model.architecture)};
  }
  const auto agreed = agreement(model.base_names, projector.base_names);
  if (agreed == Agreement::no) {
    return {.usable = true,
            .why_not = fmt::format("it was made for {}, and the model is {}",
                                   projector.base_names.front(), model.base_names.front())};
  }
  if (!candidate.beside && agreed != Agreement::yes) {
    const fs::path file(model.files.empty() ? "" : model.files.front().path);
    if (!names_quantisation(file.parent_path().filename().native())) {
      return {.usable = true,
              .why_not = "it lies in the folder above, and nothing says that it is this model's"};
    }
  }
  return {.usable = true, .fits = true};
}

struct Judged {
  ProjectorCandidate candidate;
  Verdict verdict;
  [[nodiscard]] auto rank() const {
    const auto& projector = candidate.projector;
    return std::make_tuple(!verdict.fits, !candidate.beside, -bits_of(projector.precision),
                           name_rank(lower_case(file_name(projector))), projector.path);
  }
};

std::string why_chosen(const Judged& chosen, std::size_t fitting) {
  if (fitting == 1) return "the only one that fits";
  return fmt::format("the highest precision ({}) of the {} that fit",
                     chosen.candidate.projector.precision, fitting);
}

std::string why_second(const Judged& chosen, const Judged& other) {
  const auto& first = chosen.candidate.projector;
  const auto& second = other.candidate.projector;
  const auto name = printable(file_name(first));
  if (chosen.candidate.beside && !other.candidate.beside) {
    return fmt::format("{} lies beside the model", name);
  }
  if (bits_of(first.precision) > bits_of(second.precision)) {
    return fmt::format("{} has a higher precision ({} over {})", name, first.precision,
                       second.precision);
  }
  return fmt::format("{} is as precise and comes first by its name", name);
}

bool says_clip(ByteSource& source) {
  const auto length = std::min(source.size(), kLook);
  const auto begin = source.read(0, length);
  if (!begin) return false;
  std::string text;
  for (const std::byte byte : *begin) text += static_cast<char>(byte);
  return text.starts_with("GGUF") && text.find("clip") != std::string::npos;
}

// Nothing where the file is of another kind.
std::optional<ProjectorCandidate> look_at(const FileSet& files, const std::string& path,
                                          bool beside) {
  const std::string_view name = file_name_of(path);
  const bool named = lower_case(name).find("mmproj") != std::string::npos;
  ProjectorCandidate candidate{.beside = beside};
  candidate.projector.path = files.locate(path);
  auto source = files.open(path);
  if (!source) {
    if (!named) return std::nullopt;
    candidate.broken = source.error().message;
    return candidate;
  }
  candidate.projector.size = {(*source)->size()};
  if (!named && !says_clip(**source)) return std::nullopt;
  auto file = read_gguf(**source, name);
  auto projector =
      file ? read_projector(*file, candidate.projector.path) : fail(std::move(file).error());
  if (projector) {
    candidate.projector = *std::move(projector);
    return candidate;
  }
  if (!named) return std::nullopt;
  candidate.broken = projector.error().message;
  return candidate;
}

// Adds what the files of a folder in the set turn out to be; "" is the set's own folder, others end
// in '/'.
void add_candidates(const FileSet& files, std::string_view folder, bool beside,
                    const model::ModelProfile& profile,
                    std::vector<ProjectorCandidate>& candidates) {
  for (const FileEntry& entry : files.files()) {
    if (candidates.size() >= kMostCandidates) return;
    const bool here =
        entry.path.starts_with(folder) && entry.path.find('/', folder.size()) == std::string::npos;
    if (!here || !lower_case(entry.path).ends_with(".gguf")) continue;
    const std::string place = files.locate(entry.path);
    const bool own =
        std::ranges::find(profile.files, place, &model::ModelFile::path) != profile.files.end();
    if (own) continue;
    if (auto candidate = look_at(files, entry.path, beside)) {
      candidates.push_back(*std::move(candidate));
    }
  }
}

}  // namespace

std::vector<model::Projector> choose_projector(const model::ModelProfile& model,
                                               std::vector<ProjectorCandidate> candidates) {
  std::vector<Judged> judged;
  for (auto& candidate : candidates) {
    auto verdict = judge(model, candidate);
    judged.push_back({.candidate = std::move(candidate), .verdict = std::move(verdict)});
  }
  std::ranges::sort(judged, {}, &Judged::rank);
  const auto fitting = static_cast<std::size_t>(
      std::ranges::count_if(judged, [](const Judged& one) { return one.verdict.fits; }));
  std::vector<model::Projector> projectors;
  for (std::size_t i = 0; i < judged.size(); ++i) {
    auto projector = judged[i].candidate.projector;
    projector.usable = judged[i].verdict.usable;
    projector.chosen = i == 0 && fitting != 0;
    projector.reason = projector.chosen         ? why_chosen(judged[i], fitting)
                       : judged[i].verdict.fits ? why_second(judged.front(), judged[i])
                                                : judged[i].verdict.why_not;
    projectors.push_back(std::move(projector));
  }
  return projectors;
}

void add_projectors(model::ModelProfile& profile, const FileSet& files, std::string_view path,
                    const FileSet* above) {
  if (profile.category != model::Category::llm || profile.architecture == "clip" ||
      profile.architecture == "adapter") {
    return;
  }
  const std::string_view folder = folder_of(path);
  std::vector<ProjectorCandidate> candidates;
  add_candidates(files, folder, true, profile, candidates);
  if (!folder.empty()) {
    add_candidates(files, folder_of(folder.substr(0, folder.size() - 1)), false, profile,
                   candidates);
  } else if (above != nullptr) {
    add_candidates(*above, "", false, profile, candidates);
  }
  // What is of no use in the folder above belongs to other models.
  std::erase_if(candidates, [&](const ProjectorCandidate& candidate) {
    return !candidate.beside && !judge(profile, candidate).usable;
  });
  profile.projectors = choose_projector(profile, std::move(candidates));
  profile.inputs = {model::Modality::text};
  profile.outputs = {model::Modality::text};
  if (profile.projectors.empty() || !profile.projectors.front().chosen) return;
  if (profile.projectors.front().vision) profile.inputs.push_back(model::Modality::image);
  if (profile.projectors.front().audio) profile.inputs.push_back(model::Modality::audio);
}

}  // namespace berth::formats
