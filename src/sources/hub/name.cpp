#include "sources/hub/name.h"

#include <algorithm>
#include <array>

namespace berth::sources {
namespace {

constexpr std::size_t kLongestPart = 96;  // of Hugging Face: for an organisation or a name
constexpr std::size_t kLongestPath = 1024;
constexpr std::size_t kLongestComponent = 255;  // of the file systems that it shall be stored on
constexpr std::size_t kLongestRevision = 255;

struct Prefix {
  std::string_view text;
  Hub hub;
};
constexpr auto kPrefixes = std::to_array<Prefix>({{"hf:", Hub::hugging_face},
                                                  {"huggingface:", Hub::hugging_face},
                                                  {"hf.co/", Hub::hugging_face},
                                                  {"huggingface.co/", Hub::hugging_face},
                                                  {"ms:", Hub::model_scope},
                                                  {"modelscope:", Hub::model_scope},
                                                  {"ollama:", Hub::ollama}});

const Prefix* prefix_of(std::string_view text) {
  const auto* found = std::ranges::find_if(
      kPrefixes, [&](const Prefix& prefix) { return text.starts_with(prefix.text); });
  return found == kPrefixes.end() ? nullptr : found;
}

std::string_view form_of(Hub hub) {
  switch (hub) {
    case Hub::hugging_face:
      return "hf:ORG/NAME, hf:ORG/NAME:QUANT or hf:ORG/NAME/FILE, each with @REVISION or without";
    case Hub::model_scope:
      return "ms:OWNER/NAME, ms:OWNER/NAME:QUANT or ms:OWNER/NAME/FILE, each with @REVISION or "
             "without";
    case Hub::ollama:
      return "ollama:NAME or ollama:NAME:TAG";
  }
  return "";
}

Error malformed(Hub hub, std::string_view why) {
  return make_error(ErrorCode::invalid_parameter, "source: {}; write {}", why, form_of(hub))
      .with_field("source");
}

bool is_letter_or_digit(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

bool consists_of(std::string_view text, std::string_view others) {
  return std::ranges::all_of(text, [&](char c) {
    return is_letter_or_digit(c) || others.find(c) != std::string_view::npos;
  });
}

// An organisation, or the name of a repository: the rules of huggingface_hub's validate_repo_id,
// which those of the other hubs are within.
bool is_name_part(std::string_view text) {
  return !text.empty() && text.size() <= kLongestPart && consists_of(text, "._-") &&
         std::string_view("._-").find(text.front()) == std::string_view::npos &&
         std::string_view(".-").find(text.back()) == std::string_view::npos &&
         text.find("--") == std::string_view::npos && text.find("..") == std::string_view::npos &&
         !text.ends_with(".git");
}

bool is_repository(std::string_view text) {
  const auto slash = text.find('/');
  return slash != std::string_view::npos && is_name_part(text.substr(0, slash)) &&
         is_name_part(text.substr(slash + 1));
}

// git's rules for the names of references, narrowed to what hubs allow.
bool is_revision(std::string_view text) {
  return !text.empty() && text.size() <= kLongestRevision && consists_of(text, "._-/+") &&
         is_letter_or_digit(text.front()) && text.back() != '/' && text.back() != '.' &&
         text.find("..") == std::string_view::npos && text.find("//") == std::string_view::npos &&
         text.find("/.") == std::string_view::npos;
}

bool is_quantisation(std::string_view text) {
  return !text.empty() && text.size() <= 64 && consists_of(text, "._-");
}

// Cuts off the last `mark` and what follows, which it gives; nothing where there is none.
std::string_view cut_behind(std::string_view& text, char mark) {
  const auto at = text.rfind(mark);
  if (at == std::string_view::npos) return {};
  const std::string_view behind = text.substr(at + 1);
  text = text.substr(0, at);
  return behind;
}

// "ORG/NAME[:QUANT | /FILE][@REVISION]".
Result<HubName> parse_repository(Hub hub, std::string_view text) {
  HubName name{.hub = hub};
  if (text.find('@') != std::string_view::npos) {
    name.revision = cut_behind(text, '@');
    if (!is_revision(name.revision)) {
      return fail(malformed(hub, "what follows the @ is no branch, tag or commit"));
    }
  }
  const auto slash = text.find('/');
  if (slash == std::string_view::npos) {
    return fail(malformed(hub, "the name has no organisation"));
  }
  const auto end = text.find_first_of("/:", slash + 1);
  name.repository = text.substr(0, end);
  if (!is_repository(name.repository)) {
    return fail(malformed(hub,
                          "an organisation or a name is of letters, digits, '-', '_' and '.', up "
                          "to 96 of them, and begins with a letter or a digit"));
  }
  if (end == std::string_view::npos) return name;
  const std::string_view rest = text.substr(end + 1);
  if (text[end] == ':') {
    name.quantisation = rest;
    if (!is_quantisation(rest)) {
      return fail(malformed(hub, "what follows the colon is no quantisation such as Q4_K_M"));
    }
    return name;
  }
  name.file = rest;
  if (!is_repository_path(rest)) {
    return fail(malformed(hub, "what follows the name is no path of a file in it"));
  }
  return name;
}

// "[NAMESPACE/]NAME[:TAG]".
Result<HubName> parse_ollama(std::string_view text) {
  HubName name{.hub = Hub::ollama};
  if (text.find(':') != std::string_view::npos) {
    name.revision = cut_behind(text, ':');
    if (!is_quantisation(name.revision)) {
      return fail(malformed(Hub::ollama, "what follows the colon is no tag such as 7b"));
    }
  }
  name.repository =
      text.find('/') == std::string_view::npos ? "library/" + std::string(text) : std::string(text);
  if (!is_repository(name.repository)) {
    return fail(malformed(Hub::ollama,
                          "a name is of letters, digits, '-', '_' and '.', and begins with a "
                          "letter or a digit"));
  }
  return name;
}

}  // namespace

std::string_view title_of(Hub hub) {
  switch (hub) {
    case Hub::hugging_face:
      return "Hugging Face";
    case Hub::model_scope:
      return "ModelScope";
    case Hub::ollama:
      return "Ollama";
  }
  return "";
}

bool is_hub_name(std::string_view text) { return prefix_of(text) != nullptr; }

Result<HubName> parse_hub_name(std::string_view text) {
  const Prefix* prefix = prefix_of(text);
  if (prefix == nullptr) {
    return fail(malformed(Hub::hugging_face, "it is not the name of a model on a hub"));
  }
  text.remove_prefix(prefix->text.size());
  if (prefix->hub == Hub::ollama) return parse_ollama(text);
  return parse_repository(prefix->hub, text);
}

std::string to_text(const HubName& name) {
  constexpr std::string_view kOwn = "library/";
  if (name.hub == Hub::ollama) {
    std::string_view repository = name.repository;
    if (repository.starts_with(kOwn)) repository.remove_prefix(kOwn.size());
    return fmt::format("ollama:{}{}{}", repository, name.revision.empty() ? "" : ":",
                       name.revision);
  }
  return fmt::format(
      "{}{}{}{}{}{}{}{}", name.hub == Hub::hugging_face ? "hf:" : "ms:", name.repository,
      name.quantisation.empty() ? "" : ":", name.quantisation, name.file.empty() ? "" : "/",
      name.file, name.revision.empty() ? "" : "@", name.revision);
}

bool is_repository_path(std::string_view path) {
  if (path.empty() || path.size() > kLongestPath) return false;
  const bool is_plain = std::ranges::all_of(
      path, [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7F && c != '\\'; });
  if (!is_plain) return false;
  while (true) {
    const auto slash = path.find('/');
    const std::string_view component = path.substr(0, slash);
    if (component.empty() || component == "." || component == ".." ||
        component.size() > kLongestComponent) {
      return false;
    }
    if (slash == std::string_view::npos) return true;
    path.remove_prefix(slash + 1);
  }
}

}  // namespace berth::sources
