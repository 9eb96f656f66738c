// Ollama's registry: the manifest of a model is one of Docker's (Image Manifest Version 2, Schema
// 2), and the media type of each layer says what it is.
#include "base/ids.h"
#include "sources/hub/request.h"

#include <map>

namespace berth::sources {
namespace {

constexpr std::string_view kDefaultTag = "latest";
constexpr std::string_view kManifestType = "application/vnd.docker.distribution.manifest.v2+json";
constexpr std::string_view kLayerType = "application/vnd.ollama.image.";

std::string_view tag_of(const HubName& name) {
  return name.revision.empty() ? kDefaultTag : std::string_view(name.revision);
}

Error unknown_form(const HubName& name, std::string_view what) {
  return about_source(ErrorCode::corrupt, "{}: the registry's manifest is broken: {}",
                      to_text(name), what);
}

// The name that a layer gets among the files, which are named by digests alone there.
std::string file_name(std::string_view kind) {
  if (kind == "model") return "model.gguf";
  if (kind == "projector") return "mmproj.gguf";
  if (kind == "adapter") return "adapter.gguf";
  return encoded(kind);  // "template", "params", "license"
}

// "mmproj.gguf" for the first of a kind, "mmproj-2.gguf" for the second.
std::string numbered(const std::string& name, int number) {
  if (number == 1) return name;
  const auto dot = name.rfind('.');
  const std::string extension = dot == std::string::npos ? "" : name.substr(dot);
  return fmt::format("{}-{}{}", name.substr(0, dot), number, extension);
}

std::string base_of(const HubName& name, const HubSettings& settings) {
  return fmt::format("{}/v2/{}", settings.ollama.endpoint, name.repository);
}

}  // namespace

std::string ollama_url(const HubName& name, const HubSettings& settings, const HubDigest& digest) {
  return fmt::format("{}/blobs/sha256:{}", base_of(name, settings), digest.hex);
}

Result<HubAnswer> ask_ollama_manifest(const HubName& name, const HubSettings& settings) {
  return ask_hub(name, settings,
                 fmt::format("{}/manifests/{}", base_of(name, settings), tag_of(name)),
                 kManifestType);
}

Result<HubListing> list_ollama(const HubName& name, const HubSettings& settings) {
  BERTH_TRY(const auto answer, ask_ollama_manifest(name, settings));
  BERTH_TRY(auto listing, read_ollama_manifest(name, answer.text, answer.value));
  for (auto& file : listing.files) file.url = ollama_url(name, settings, file.digest);
  return listing;
}

Result<HubListing> read_ollama_manifest(const HubName& name, std::string_view text,
                                        const json::value& value) {
  const auto* object = value.if_object();
  const auto* layers = object == nullptr ? nullptr : object->if_contains("layers");
  if (layers == nullptr || !layers->is_array()) return fail(unknown_form(name, "no layers"));
  HubListing listing{.name = name, .commit = sha256_hex(text), .files = {}};
  std::map<std::string, int> seen;
  for (const auto& layer : layers->get_array()) {
    const std::string type = text_member(layer, "mediaType");
    if (!type.starts_with(kLayerType)) continue;
    const std::string kind = type.substr(kLayerType.size());
    if (kind == "tensor") {
      return fail(about_source(ErrorCode::unsupported,
                               "{}: its weights are single tensors of Ollama's own format; take a "
                               "tag whose weights are a GGUF file",
                               to_text(name)));
    }
    const std::string digest = text_member(layer, "digest");
    const auto size = size_member(layer, "size");
    if (!digest.starts_with("sha256:") || !is_sha256(digest.substr(7)) || !size) {
      return fail(unknown_form(
          name, fmt::format("a layer ({}) without digest or size", sources::quoted(kind))));
    }
    const std::string path = file_name(kind);
    listing.files.push_back({.path = numbered(path, ++seen[path]),
                             .size = *size,
                             .digest = {DigestKind::sha256, digest.substr(7)},
                             .url = ""});
  }
  return checked(std::move(listing));
}

std::optional<Error> explain_ollama(const HubName& name, const HttpHead& head) {
  if (head.status != 404 && head.status != 401) return std::nullopt;
  return about_source(
      ErrorCode::not_found,
      "there is no {} at {}, or not with the tag {}; see https://ollama.com/library", to_text(name),
      head.host, tag_of(name));
}

}  // namespace berth::sources
