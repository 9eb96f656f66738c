// What the clients of the hubs share: asking for a JSON text, and making a listing of what it says.
// Internal to sources/hub.
#pragma once

#include "base/json.h"
#include "sources/hub/client.h"

#include <optional>
#include <string>
#include <string_view>

namespace berth::sources {

// An answer in JSON.
struct HubAnswer {
  HttpHead head;
  std::string text;
  json::value value;
};

// A GET of an address of the hub; `accepted` is the media type that is wanted. The errors begin
// with the name's text. Fails with corrupt where the answer is no JSON, with too_large above 16
// MiB.
Result<HubAnswer> ask_hub(const HubName& name, const HubSettings& settings, const std::string& url,
                          std::string_view accepted = "application/json");

// `text` as a part of an address: everything but letters, digits and "-._~" as %XX; `kept` as it
// is.
std::string encoded(std::string_view text, std::string_view kept = "");

// Members of a JSON object; empty or nothing where absent or of another kind.
std::string text_member(const json::value& value, std::string_view name);
std::optional<Bytes> size_member(const json::value& value, std::string_view name);

bool is_sha256(std::string_view text);
// A git object's name: 40 hexadecimal digits.
bool is_commit(std::string_view text);

// Sorts the files and checks them: paths, none twice, not too many. Fails with corrupt.
Result<HubListing> checked(HubListing listing);

// An error about the name that the user gave.
template <class... Args>
Error about_source(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  return make_error(code, format, std::forward<Args>(args)...).with_field("source");
}
// The hub's own words about a refusal, as " (it says: …)"; empty where it says nothing.
std::string own_words(std::string_view text);

// One a hub, see list_repository.
Result<HubListing> list_hugging_face(const HubName& name, const HubSettings& settings);
Result<HubListing> list_model_scope(const HubName& name, const HubSettings& settings);
Result<HubListing> list_ollama(const HubName& name, const HubSettings& settings);

// The address of a file's content.
std::string hugging_face_url(const HubName& name, const HubSettings& settings,
                             std::string_view commit, std::string_view path);
std::string model_scope_url(const HubName& name, const HubSettings& settings,
                            std::string_view path);
std::string ollama_url(const HubName& name, const HubSettings& settings, const HubDigest& digest);

// The listing that a manifest of Ollama's registry is; `text` as it came, `value` what it says.
// Its files have no addresses. Fails with corrupt and unsupported.
Result<HubListing> read_ollama_manifest(const HubName& name, std::string_view text,
                                        const json::value& value);
// The manifest at the name's tag, as the registry has it now.
Result<HubAnswer> ask_ollama_manifest(const HubName& name, const HubSettings& settings);

// What a refusal means, by the status and the head's fields; nothing for what every server says.
std::optional<Error> explain_hugging_face(const HubName& name, const HubSettings& settings,
                                          const HttpHead& head, bool has_secret);
std::optional<Error> explain_model_scope(const HubName& name, const HubSettings& settings,
                                         const HttpHead& head, bool has_secret);
std::optional<Error> explain_ollama(const HubName& name, const HttpHead& head);

}  // namespace berth::sources
