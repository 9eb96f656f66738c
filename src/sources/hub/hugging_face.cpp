// Hugging Face's HTTP API, as huggingface_hub 2.4 uses it (hf_api.py: model_info, list_repo_tree;
// file_download.py: hf_hub_url; utils/_http.py: hf_raise_for_status).
#include "sources/hub/request.h"

namespace berth::sources {
namespace {

constexpr std::string_view kDefaultRevision = "main";
constexpr int kMostPages = 200;  // the hub gives a thousand files on each

std::string_view revision_of(const HubName& name) {
  return name.revision.empty() ? kDefaultRevision : std::string_view(name.revision);
}

// The address of the next page in 'Link: <https://…>; rel="next"'; empty where there is none.
std::string next_page(std::string_view link) {
  while (!link.empty()) {
    const auto open = link.find('<');
    const auto close = link.find('>', open == std::string_view::npos ? 0 : open);
    if (open == std::string_view::npos || close == std::string_view::npos) return {};
    const std::string_view url = link.substr(open + 1, close - open - 1);
    link.remove_prefix(close + 1);
    const std::string_view parameters = link.substr(0, link.find('<'));
    if (parameters.find("rel=\"next\"") != std::string_view::npos) return std::string(url);
    link.remove_prefix(parameters.size());
  }
  return {};
}

Error unknown_form(const HubName& name, std::string_view what) {
  return about_source(ErrorCode::corrupt, "{}: Hugging Face's list of files is broken: {}",
                      to_text(name), what);
}

Result<std::string> resolve_revision(const HubName& name, const HubSettings& settings) {
  if (is_commit(name.revision)) return name.revision;
  BERTH_TRY(const auto answer,
            ask_hub(name, settings,
                    fmt::format("{}/api/models/{}/revision/{}", settings.hugging_face.endpoint,
                                name.repository, encoded(revision_of(name)))));
  std::string commit = text_member(answer.value, "sha");
  if (!is_commit(commit)) return fail(unknown_form(name, "it names no commit"));
  return commit;
}

// One entry of a page; nothing for folders.
Result<std::optional<HubFile>> read_entry(const HubName& name, const json::value& entry) {
  if (text_member(entry, "type") != "file") return std::nullopt;
  HubFile file{.path = text_member(entry, "path")};
  const auto* lfs = entry.as_object().if_contains("lfs");
  const bool is_large = lfs != nullptr && lfs->is_object();
  file.digest = is_large ? HubDigest{DigestKind::sha256, text_member(*lfs, "oid")}
                         : HubDigest{DigestKind::git_blob, text_member(entry, "oid")};
  const auto size = size_member(is_large ? *lfs : entry, "size");
  if (!size)
    return fail(unknown_form(name, fmt::format("{} has no size", sources::quoted(file.path))));
  file.size = *size;
  if (!(is_large ? is_sha256(file.digest.hex) : is_commit(file.digest.hex))) {
    return fail(unknown_form(name, fmt::format("{} has no digest", sources::quoted(file.path))));
  }
  return file;
}

Result<void> add_page(HubListing& listing, const json::value& page, const HubSettings& settings) {
  if (!page.is_array()) return fail(unknown_form(listing.name, "it is no array"));
  for (const auto& entry : page.get_array()) {
    BERTH_TRY(auto file, read_entry(listing.name, entry));
    if (!file) continue;
    file->url = hugging_face_url(listing.name, settings, listing.commit, file->path);
    listing.files.push_back(*std::move(file));
    if (listing.files.size() > kMostHubFiles) break;  // which `checked` refuses
  }
  return {};
}

// Where a person accepts the terms.
std::string page_of(const HubName& name, const HubSettings& settings) {
  return fmt::format("{}/{}", settings.hugging_face.endpoint, name.repository);
}

Error gated(const HubName& name, const HubSettings& settings, std::string_view words,
            bool has_secret) {
  if (has_secret) {
    return about_source(ErrorCode::permission_denied,
                        "{} is gated, and the account of the token has no access to it{}: accept "
                        "its terms, or ask for access, at {}; a fine-grained token must also be "
                        "allowed to read gated repositories",
                        to_text(name), own_words(words), page_of(name, settings));
  }
  return about_source(ErrorCode::unauthenticated,
                      "{} is gated: accept its terms at {} with your account, and put a token of "
                      "it (https://huggingface.co/settings/tokens) into {}",
                      to_text(name), page_of(name, settings), settings.hugging_face.token_place);
}

}  // namespace

std::string hugging_face_url(const HubName& name, const HubSettings& settings,
                             std::string_view commit, std::string_view path) {
  return fmt::format("{}/{}/resolve/{}/{}", settings.hugging_face.endpoint, name.repository, commit,
                     encoded(path, "/"));
}

Result<HubListing> list_hugging_face(const HubName& name, const HubSettings& settings) {
  const std::string& endpoint = settings.hugging_face.endpoint;
  BERTH_TRY(auto commit, resolve_revision(name, settings));
  HubListing listing{.name = name, .commit = std::move(commit), .files = {}};
  std::string url = fmt::format("{}/api/models/{}/tree/{}?recursive=true", endpoint,
                                name.repository, listing.commit);
  for (int pages = 0; !url.empty(); ++pages) {
    if (pages == kMostPages) return fail(unknown_form(name, "it has no end"));
    BERTH_TRY(const auto address, parse_address(url));
    BERTH_TRY(const auto hub, parse_address(endpoint + "/file"));
    // Else the token would go wherever the page says.
    if (!address.same_origin(hub)) {
      return fail(unknown_form(name, "its next page is on another server"));
    }
    BERTH_TRY(const auto answer, ask_hub(name, settings, url));
    BERTH_CHECK(add_page(listing, answer.value, settings));
    if (listing.files.size() > kMostHubFiles) break;
    url = next_page(answer.head.field("link"));
  }
  return checked(std::move(listing));
}

std::optional<Error> explain_hugging_face(const HubName& name, const HubSettings& settings,
                                          const HttpHead& head, bool has_secret) {
  const std::string_view code = head.field("x-error-code");
  const std::string_view words = head.field("x-error-message");
  const std::string text = to_text(name);
  if (code == "GatedRepo") return gated(name, settings, words, has_secret);
  if (code == "RevisionNotFound") {
    return about_source(ErrorCode::not_found,
                        "{}: the repository has no branch, tag or commit \"{}\"", text,
                        revision_of(name));
  }
  if (code == "EntryNotFound") {
    return about_source(ErrorCode::not_found, "{}: the repository has no such file at revision {}",
                        text, revision_of(name));
  }
  const bool is_absent = code == "RepoNotFound" || (head.status == 404 && code.empty());
  if (head.status == 401 && !is_absent && has_secret) {
    return about_source(ErrorCode::unauthenticated,
                        "{}: {} does not accept the token in {}{}; make a new one at "
                        "https://huggingface.co/settings/tokens",
                        text, head.host, settings.hugging_face.token_place, own_words(words));
  }
  // Without a token the hub says 401 of what is private and of what is not there alike.
  if (is_absent || head.status == 401) {
    return about_source(
        ErrorCode::not_found,
        "there is no {} at {}, or it is private; see that the name is right{}", text, head.host,
        has_secret ? ", and that the token's account may read it"
                   : fmt::format(", or put a token of an account that may read it into {}",
                                 settings.hugging_face.token_place));
  }
  if (head.status == 403) {
    return about_source(ErrorCode::permission_denied,
                        "{}: {} does not allow it{}; see what the token in {} may read, and "
                        "accept the terms at {}",
                        text, head.host, own_words(words), settings.hugging_face.token_place,
                        page_of(name, settings));
  }
  return std::nullopt;
}

}  // namespace berth::sources
