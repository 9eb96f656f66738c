#include "sources/hub/gguf_choice.h"

#include "formats/gguf_parts.h"
#include "sources/hub/quantisation.h"
#include "sources/hub/request.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <utility>

namespace berth::sources {
namespace {

constexpr std::size_t kMostNamed = 12;  // of what there is, in a message

std::string lower_case(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

std::string_view folder_of(std::string_view path) { return path.substr(0, path.rfind('/') + 1); }

bool is_gguf(std::string_view path) { return path.ends_with(".gguf"); }

bool is_projector(std::string_view path) {
  return is_gguf(path) &&
         lower_case(path.substr(folder_of(path).size())).find("mmproj") != std::string::npos;
}

// Of a model, but not one: data that a quantisation was made with.
bool is_aside(std::string_view path) {
  const std::string name = lower_case(path.substr(folder_of(path).size()));
  return name.starts_with("mtp-") || name.starts_with("imatrix") || name.ends_with("imatrix.gguf");
}

struct Candidate {
  std::string quantisation;
  std::vector<const HubFile*> parts;
  std::uint32_t count = 1;  // of parts that there should be
  Bytes size;

  [[nodiscard]] HubAlternative as_alternative() const {
    HubAlternative alternative{.quantisation = quantisation, .files = {}, .size = size};
    for (const HubFile* part : parts) alternative.files.push_back(part->path);
    return alternative;
  }
};

// In order of preference.
std::vector<Candidate> candidates_of(const HubListing& listing) {
  std::map<std::string, Candidate> by_name;
  for (const auto& file : listing.files) {
    if (!is_gguf(file.path) || is_projector(file.path) || is_aside(file.path)) continue;
    const auto split = formats::parse_split_name(file.path);
    auto& candidate = by_name[split ? fmt::format("{}/{}", split->stem, split->count) : file.path];
    candidate.quantisation = quantisation_of(split ? split->stem : file.path);
    if (split) candidate.count = split->count;
    candidate.parts.push_back(&file);
    candidate.size += file.size;
  }
  std::vector<Candidate> candidates;
  candidates.reserve(by_name.size());
  for (auto& [name, candidate] : by_name) candidates.push_back(std::move(candidate));
  std::ranges::sort(candidates, [](const Candidate& left, const Candidate& right) {
    if (left.quantisation != right.quantisation) {
      return is_preferred(left.quantisation, right.quantisation);
    }
    return left.parts.front()->path < right.parts.front()->path;
  });
  return candidates;
}

// "Q4_K_M (2.5 GiB), Q8_0 (4.3 GiB)".
std::string listed(const std::vector<Candidate>& candidates, bool by_file) {
  std::string text;
  for (std::size_t i = 0; i < candidates.size() && i < kMostNamed; ++i) {
    const bool is_named = by_file || candidates[i].quantisation.empty();
    text += fmt::format(
        "{}{} ({})", i == 0 ? "" : ", ",
        is_named ? sources::quoted(candidates[i].parts.front()->path) : candidates[i].quantisation,
        candidates[i].size);
  }
  if (candidates.size() > kMostNamed) {
    text += fmt::format(" and {} more", candidates.size() - kMostNamed);
  }
  return text;
}

Error nothing_there(const HubListing& listing, const std::vector<Candidate>& candidates) {
  const std::string text = to_text(listing.name);
  if (candidates.empty()) {
    return about_source(ErrorCode::not_found, "{}: the repository holds no GGUF model", text);
  }
  return about_source(ErrorCode::not_found, "{}: the repository has no such {}; it has {}", text,
                      listing.name.file.empty() ? "quantisation" : "file",
                      listed(candidates, !listing.name.file.empty()));
}

bool is_asked_for(const HubName& name, const Candidate& candidate) {
  if (!name.file.empty()) {
    return std::ranges::any_of(candidate.parts,
                               [&](const HubFile* part) { return part->path == name.file; });
  }
  return means_quantisation(name.quantisation, candidate.quantisation);
}

// Of those that the name asks for. Exactly what was written goes before what it may mean.
std::vector<Candidate> asked_for(const HubName& name, const std::vector<Candidate>& all) {
  if (name.file.empty() && name.quantisation.empty()) return all;
  std::vector<Candidate> found;
  std::ranges::copy_if(all, std::back_inserter(found),
                       [&](const Candidate& one) { return is_asked_for(name, one); });
  std::erase_if(
      found, [&](const Candidate& one) { return one.quantisation != found.front().quantisation; });
  return found;
}

std::string reason_for(const HubName& name, std::size_t count) {
  if (!name.file.empty()) return "the file that was asked for";
  if (!name.quantisation.empty()) return "the quantisation that was asked for";
  if (count == 1) return "the only GGUF model of the repository";
  return fmt::format("the preferred of {} ({})", count, kQuantisationRule);
}

// Beside the model and in the folders above it, the nearest first.
std::vector<std::string> projectors_for(const HubListing& listing, std::string_view model) {
  std::vector<std::string> found;
  for (const auto& file : listing.files) {
    if (is_projector(file.path) && folder_of(model).starts_with(folder_of(file.path))) {
      found.push_back(file.path);
    }
  }
  std::ranges::sort(found, {}, [](const std::string& path) {
    return std::make_pair(-static_cast<std::ptrdiff_t>(folder_of(path).size()), path);
  });
  return found;
}

}  // namespace

bool has_gguf(const HubListing& listing) { return !candidates_of(listing).empty(); }

Result<HubChoice> choose_gguf(const HubListing& listing, HubChoice choice) {
  const HubName& name = listing.name;
  const HubFile* named = name.file.empty() ? nullptr : listing.find(name.file);
  if (named != nullptr && is_projector(name.file)) {  // which is looked at alone
    choice.reason = "the file that was asked for";
    choice.files = {named->path};
    choice.size = named->size;
    return choice;
  }
  const auto all = candidates_of(listing);
  const auto found = asked_for(name, all);
  if (found.empty()) return fail(nothing_there(listing, all));
  const Candidate& first = found.front();
  const auto alike = std::ranges::count_if(
      found, [&](const Candidate& one) { return one.quantisation == first.quantisation; });
  if (alike > 1) {
    return fail(about_source(ErrorCode::invalid_parameter,
                             "{}: the repository holds several models that this may mean; name the "
                             "file of one: {}",
                             to_text(name), listed(found, true)));
  }
  if (first.parts.size() != first.count) {
    return fail(about_source(ErrorCode::not_found,
                             "{}: of the {} parts of the model the repository has {} ({} …)",
                             to_text(name), first.count, first.parts.size(),
                             sources::quoted(first.parts.front()->path)));
  }
  auto taken = first.as_alternative();
  choice.quantisation = std::move(taken.quantisation);
  choice.files = std::move(taken.files);
  choice.size = taken.size;
  choice.reason = reason_for(name, all.size());
  choice.projectors = projectors_for(listing, choice.files.front());
  for (const auto& other : all) {
    if (other.parts != first.parts) choice.alternatives.push_back(other.as_alternative());
  }
  return choice;
}

}  // namespace berth::sources
