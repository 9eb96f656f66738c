// ModelScope's HTTP API, as its SDK uses it (modelscope 1.27, hub/api.py: get_model_files;
// hub/file_download.py: get_file_download_url).
#include "sources/hub/request.h"

#include <algorithm>
#include <cctype>

namespace berth::sources {
namespace {

constexpr std::string_view kDefaultRevision = "master";

std::string_view revision_of(const HubName& name) {
  return name.revision.empty() ? kDefaultRevision : std::string_view(name.revision);
}

Error unknown_form(const HubName& name, std::string_view what) {
  return about_source(ErrorCode::corrupt, "{}: ModelScope's list of files is broken: {}",
                      to_text(name), what);
}

const json::value* member(const json::value* value, std::string_view name) {
  const auto* object = value == nullptr ? nullptr : value->if_object();
  return object == nullptr ? nullptr : object->if_contains(name);
}

std::string lower_case(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

// One entry; nothing for folders.
Result<std::optional<HubFile>> read_entry(const HubName& name, const json::value& entry) {
  if (text_member(entry, "Type") != "blob") return std::nullopt;
  HubFile file{.path = text_member(entry, "Path")};
  const auto size = size_member(entry, "Size");
  if (!size)
    return fail(unknown_form(name, fmt::format("{} has no size", sources::quoted(file.path))));
  file.size = *size;
  std::string digest = lower_case(text_member(entry, "Sha256"));
  if (!digest.empty()) {
    if (!is_sha256(digest)) {
      return fail(
          unknown_form(name, fmt::format("{} has a broken digest", sources::quoted(file.path))));
    }
    file.digest = {DigestKind::sha256, std::move(digest)};
  }
  return file;
}

std::string base_of(const HubName& name, const HubSettings& settings) {
  return fmt::format("{}/api/v1/models/{}/repo", settings.model_scope.endpoint, name.repository);
}

}  // namespace

std::string model_scope_url(const HubName& name, const HubSettings& settings,
                            std::string_view path) {
  return fmt::format("{}?Revision={}&FilePath={}", base_of(name, settings),
                     encoded(revision_of(name)), encoded(path));
}

Result<HubListing> list_model_scope(const HubName& name, const HubSettings& settings) {
  BERTH_TRY(const auto answer,
            ask_hub(name, settings,
                    fmt::format("{}/files?Revision={}&Recursive=True", base_of(name, settings),
                                encoded(revision_of(name)))));
  // Some refusals come as HTTP 200 with a code of their own.
  const auto* code = member(&answer.value, "Code");
  if (code != nullptr && *code != json::value(200)) {
    return fail(about_source(ErrorCode::not_found, "{}: {} does not list it{}", to_text(name),
                             answer.head.host, own_words(text_member(answer.value, "Message"))));
  }
  const auto* data = member(&answer.value, "Data");
  const auto* files = member(data, "Files");
  if (files == nullptr || !files->is_array()) return fail(unknown_form(name, "it has no files"));
  HubListing listing{.name = name, .commit = "", .files = {}};
  if (const auto* latest = member(data, "LatestCommitter")) {
    if (auto commit = text_member(*latest, "Id"); is_commit(commit)) listing.commit = commit;
  }
  for (const auto& entry : files->get_array()) {
    BERTH_TRY(auto file, read_entry(name, entry));
    if (!file) continue;
    file->url = model_scope_url(name, settings, file->path);
    listing.files.push_back(*std::move(file));
    if (listing.files.size() > kMostHubFiles) break;  // which `checked` refuses
  }
  return checked(std::move(listing));
}

std::optional<Error> explain_model_scope(const HubName& name, const HubSettings& settings,
                                         const HttpHead& head, bool has_secret) {
  const std::string text = to_text(name);
  if (head.status == 404) {
    return about_source(ErrorCode::not_found,
                        "there is no {} at {}, or not the revision {}; see that the name is right",
                        text, head.host, revision_of(name));
  }
  if (head.status != 401 && head.status != 403) return std::nullopt;
  const auto page = fmt::format("{}/models/{}", settings.model_scope.endpoint, name.repository);
  if (has_secret) {
    return about_source(ErrorCode::permission_denied,
                        "{}: the account of the token in MODELSCOPE_API_TOKEN has no access to it; "
                        "ask for it at {}",
                        text, page);
  }
  return about_source(ErrorCode::unauthenticated,
                      "{} is private or gated: accept its terms at {} with your account, and put "
                      "its token into MODELSCOPE_API_TOKEN",
                      text, page);
}

}  // namespace berth::sources
