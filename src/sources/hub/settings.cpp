#include "sources/hub/settings.h"

#include "base/regular_file.h"
#include "sources/connection_pool.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cstdlib>
#include <mutex>
#include <set>

#include <spdlog/spdlog.h>

namespace berth::sources {
namespace {

constexpr Bytes kLongestToken = 4_KiB;

std::string trimmed(std::string text) {
  const auto is_space = [](unsigned char c) { return std::isspace(c) != 0; };
  while (!text.empty() && is_space(text.back())) text.pop_back();
  text.erase(text.begin(), std::ranges::find_if_not(text, is_space));
  return text;
}

std::string value_of(const EnvironmentLookup& lookup, const char* name) {
  const char* value = lookup(name);
  return value == nullptr ? "" : trimmed(value);
}

bool is_of_a_name(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// "~" at the beginning, "$NAME" and "${NAME}" as Python's expanduser and expandvars have them: what
// is not set stays as it is written.
std::string expanded(const EnvironmentLookup& lookup, std::string_view text) {
  std::string out;
  if (text == "~" || text.starts_with("~/")) {
    out = value_of(lookup, "HOME");
    text.remove_prefix(out.empty() ? 0 : 1);
  }
  while (!text.empty()) {
    std::size_t length = 1;
    std::string name;
    if (text.starts_with("${") && text.find('}') != std::string_view::npos) {
      length = text.find('}') + 1;
      name = text.substr(2, length - 3);
    } else if (text.starts_with('$')) {
      while (length < text.size() && is_of_a_name(text[length])) ++length;
      name = text.substr(1, length - 1);
    }
    const char* value = name.empty() ? nullptr : lookup(name.c_str());
    out += value == nullptr ? text.substr(0, length) : std::string_view(value);
    text.remove_prefix(length);
  }
  return out;
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

// Where the file with the token is, whether or not it is there; empty where nothing tells.
Result<std::filesystem::path> token_file(const EnvironmentLookup& lookup) {
  BERTH_TRY(auto path, path_variable(lookup, "HF_TOKEN_PATH"));
  if (!path.empty()) return path;
  auto home = hugging_face_home(lookup);
  if (!home && home.error().field == "HOME") return std::filesystem::path();
  if (!home) return fail(home.error());
  return *home / "token";
}

// Empty where there is no file, or nothing in it.
Result<std::string> read_token(const std::filesystem::path& path) {
  const auto file = RegularFile::open(path);
  if (!file && file.error().code == ErrorCode::not_found) return std::string();
  if (!file) return fail(file.error());
  if (file->size() > kLongestToken) {
    return fail(ErrorCode::too_large, "{} is longer than any token", path.string());
  }
  std::string text(file->size().count, '\0');
  BERTH_CHECK(file->read_at(0, std::as_writable_bytes(std::span(text))));
  std::erase_if(text, [](char c) { return c == '\r' || c == '\n'; });
  text = trimmed(std::move(text));
  if (!std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7F; })) {
    return fail(ErrorCode::invalid_parameter, "{} holds something else than a token",
                path.string());
  }
  return text;
}

void warn_of_readers(const std::filesystem::path& path, std::vector<std::string>& warnings) {
  std::error_code error;
  const auto allowed = std::filesystem::status(path, error).permissions();
  if (error || (allowed & std::filesystem::perms::others_read) == std::filesystem::perms::none) {
    return;
  }
  warnings.push_back(
      fmt::format("{} holds the token of Hugging Face, and every user of this machine may read it: "
                  "chmod 600 {}",
                  path.string(), path.string()));
}

void take_token_file(const EnvironmentLookup& lookup, HubSettings& settings) {
  const auto path = token_file(lookup);
  auto token = path && !path->empty() ? read_token(*path) : Result<std::string>();
  const auto* error = !path ? &path.error() : (!token ? &token.error() : nullptr);
  if (error != nullptr) {
    settings.warnings.push_back(fmt::format(
        "no token is sent to Hugging Face: {}; mend that, or put the token into HF_TOKEN",
        error->message));
    return;
  }
  if (token->empty()) return;
  settings.hugging_face.token = *std::move(token);
  settings.hugging_face.token_place = path->string();
  warn_of_readers(*path, settings.warnings);
}

// As huggingface_hub 2.4 (utils/_auth.py: get_token; utils/_headers.py: get_token_to_send), less
// what is for CI and for notebooks.
void take_token(const EnvironmentLookup& lookup, HubSettings& settings) {
  HubPlace& place = settings.hugging_face;
  if (is_yes(value_of(lookup, "HF_HUB_DISABLE_IMPLICIT_TOKEN"))) {
    place.token_place = "HF_TOKEN, and unset HF_HUB_DISABLE_IMPLICIT_TOKEN";
    return;
  }
  for (const char* name : {"HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"}) {
    place.token = value_of(lookup, name);
    if (place.token.empty()) continue;
    place.token_place = name;
    return;
  }
  take_token_file(lookup, settings);
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
  take_token(lookup, settings);
  settings.model_scope.token = value_of(lookup, "MODELSCOPE_API_TOKEN");
  settings.http.connections = std::make_shared<ConnectionPool>();
  settings.offline = is_yes(value_of(lookup, "HF_HUB_OFFLINE"));
  return settings;
}

Result<HubSettings> read_hub_settings() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing here changes the environment
  auto settings = read_hub_settings([](const char* name) { return std::getenv(name); });
  if (!settings) return settings;
  static std::mutex mutex;
  static std::set<std::string> told;
  const std::lock_guard lock(mutex);
  for (const auto& warning : settings->warnings) {
    if (told.insert(warning).second) spdlog::warn("{}", warning);
  }
  return settings;
}

Result<std::filesystem::path> path_variable(const EnvironmentLookup& lookup, const char* name) {
  const std::string value = value_of(lookup, name);
  if (value.empty()) return std::filesystem::path();
  const std::filesystem::path path = expanded(lookup, value);
  if (path.is_absolute()) return path.lexically_normal();
  return fail(make_error(ErrorCode::invalid_parameter, "{} holds no absolute path: {}", name,
                         sources::quoted(value))
                  .with_field(name));
}

Result<std::filesystem::path> hugging_face_home(const EnvironmentLookup& lookup) {
  BERTH_TRY(auto own, path_variable(lookup, "HF_HOME"));
  if (!own.empty()) return own;
  BERTH_TRY(const auto cache, path_variable(lookup, "XDG_CACHE_HOME"));
  if (!cache.empty()) return cache / "huggingface";
  BERTH_TRY(const auto home, path_variable(lookup, "HOME"));
  if (!home.empty()) return home / ".cache" / "huggingface";
  return fail(
      make_error(ErrorCode::invalid_parameter,
                 "HOME is not set; set it, or HF_HOME to the folder of Hugging Face's tools")
          .with_field("HOME"));
}

}  // namespace berth::sources
