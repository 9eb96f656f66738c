#include "sources/hub/settings.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>

namespace berth::sources {
namespace {

std::string value_of(const EnvironmentLookup& lookup, const char* name) {
  const char* value = lookup(name);
  std::string text = value == nullptr ? "" : value;
  const auto is_space = [](unsigned char c) { return std::isspace(c) != 0; };
  while (!text.empty() && is_space(text.back())) text.pop_back();
  text.erase(text.begin(), std::ranges::find_if_not(text, is_space));
  return text;
}

// What huggingface_hub takes for yes.
bool is_yes(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  constexpr auto kYes = std::to_array<std::string_view>({"1", "ON", "YES", "TRUE"});
  return std::ranges::find(kYes, text) != kYes.end();
}

// Puts the address that `name` holds in the place of `endpoint`, if it holds one.
Result<void> take_endpoint(const EnvironmentLookup& lookup, const char* name,
                           std::string& endpoint) {
  std::string value = value_of(lookup, name);
  while (value.ends_with('/') && !value.ends_with("://")) value.pop_back();
  if (value.empty()) return {};
  if (value.find("://") == std::string::npos)
    value = "https://" + value;  // MODELSCOPE_DOMAIN is a host alone
  // The path of some file there, so that the endpoint's own may be empty.
  const auto address = parse_address(value + "/file");
  if (!address || value.find_first_of("?#") != std::string::npos) {
    return fail(make_error(ErrorCode::invalid_parameter,
                           "{} holds no address such as {}, without a user, a password or a query",
                           name, endpoint)
                    .with_field(name));
  }
  endpoint = value;
  return {};
}

}  // namespace

const HubPlace& HubSettings::place_of(Hub hub) const {
  switch (hub) {
    case Hub::model_scope:
      return model_scope;
    case Hub::ollama:
      return ollama;
    case Hub::hugging_face:
      break;
  }
  return hugging_face;
}

Result<HubSettings> read_hub_settings(const EnvironmentLookup& lookup) {
  HubSettings settings;
  BERTH_CHECK(take_endpoint(lookup, "HF_ENDPOINT", settings.hugging_face.endpoint));
  BERTH_CHECK(take_endpoint(lookup, "MODELSCOPE_DOMAIN", settings.model_scope.endpoint));
  BERTH_CHECK(take_endpoint(lookup, "BERTH_OLLAMA_REGISTRY", settings.ollama.endpoint));
  settings.hugging_face.token = value_of(lookup, "HF_TOKEN");
  settings.model_scope.token = value_of(lookup, "MODELSCOPE_API_TOKEN");
  settings.offline = is_yes(value_of(lookup, "HF_HUB_OFFLINE"));
  return settings;
}

Result<HubSettings> read_hub_settings() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing here changes the environment
  return read_hub_settings([](const char* name) { return std::getenv(name); });
}

}  // namespace berth::sources
