#include "sources/hub/choice.h"

#include "sources/hub/gguf_choice.h"
#include "sources/hub/request.h"
#include "sources/hub/weight_choice.h"

namespace berth::sources {
namespace {

HubChoice begin_choice(const HubListing& listing) {
  return {.source = to_text(listing.name), .commit = listing.commit};
}

void add_file(HubChoice& choice, const HubFile& file) {
  choice.files.push_back(file.path);
  choice.size += file.size;
}

// A tag of Ollama names one model with what belongs to it.
HubChoice all_of_tag(const HubListing& listing) {
  HubChoice choice = begin_choice(listing);
  choice.reason = "what the tag names";
  for (const auto& file : listing.files) {
    if (file.path.starts_with("mmproj")) {
      choice.projectors.push_back(file.path);
    } else {
      add_file(choice, file);
    }
  }
  return choice;
}

Result<HubChoice> one_file(const HubListing& listing) {
  const HubFile* file = listing.find(listing.name.file);
  if (file == nullptr) {
    return fail(about_source(ErrorCode::not_found, "{}: the repository has no such file",
                             to_text(listing.name)));
  }
  HubChoice choice = begin_choice(listing);
  choice.reason = "the file that was asked for";
  add_file(choice, *file);
  return choice;
}

Result<HubChoice> weights_of(const HubListing& listing) {
  HubChoice choice = begin_choice(listing);
  choice.reason = "the model in the repository's folders";
  for (const HubFile* file : needed_of_layout(listing)) add_file(choice, *file);
  if (choice.files.empty()) {
    return fail(about_source(ErrorCode::not_found, "{}: the repository holds no model",
                             to_text(listing.name)));
  }
  return choice;
}

}  // namespace

Result<HubChoice> choose_files(const HubListing& listing) {
  const HubName& name = listing.name;
  if (name.hub == Hub::ollama) return all_of_tag(listing);
  const bool is_other_file = !name.file.empty() && !name.file.ends_with(".gguf");
  if (is_other_file) return one_file(listing);
  const bool asks_for_gguf = !name.file.empty() || !name.quantisation.empty();
  if (asks_for_gguf || (has_gguf(listing) && !has_layout(listing))) {
    return choose_gguf(listing, begin_choice(listing));
  }
  return weights_of(listing);
}

}  // namespace berth::sources
