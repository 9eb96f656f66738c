#include "sources/remote_profile.h"

#include "formats/profile.h"
#include "sources/hub/profile.h"

namespace berth::sources {

bool is_remote(std::string_view text) { return is_address(text) || is_hub_name(text); }

Result<std::string> normalise_remote(std::string_view text) {
  if (is_hub_name(text)) {
    BERTH_TRY(const auto name, parse_hub_name(text));
    return to_text(name);
  }
  BERTH_TRY(auto address, parse_address(text));
  return std::move(address.url);
}

Result<RemoteModel> profile_remote(std::string_view text, const RangeOptions& options) {
  if (!is_hub_name(text)) {
    BERTH_TRY(auto profile, profile_url(text, options));
    return RemoteModel{.profile = std::move(profile), .choice = std::nullopt};
  }
  BERTH_TRY(const auto name, parse_hub_name(text));
  BERTH_TRY(auto settings, read_hub_settings());
  settings.http = options.http;
  BERTH_TRY(auto found, profile_hub(name, settings));
  return RemoteModel{.profile = std::move(found.profile), .choice = std::move(found.choice)};
}

Result<model::ModelProfile> profile_url(std::string_view url, const RangeOptions& options) {
  BERTH_TRY(const auto address, parse_address(url));
  BERTH_TRY(const auto source, open_url(address, options));
  BERTH_TRY(auto file, formats::read_gguf(*source, address.shown));
  const auto parts = formats::find_number(file.metadata, "split.count").value_or(1);
  if (parts > 1) {
    return fail(ErrorCode::unsupported,
                "{}: it is one of the {} parts of a model (split.count), and parts can not be read "
                "from an address yet; download all of them and give the path of one",
                address.shown, parts);
  }
  auto profile = formats::profile_of({{.path = address.url, .file = std::move(file)}});
  if (!profile) {
    Error error = std::move(profile).error();
    error.message = fmt::format("{}: {}", address.shown, error.message);
    return fail(std::move(error));
  }
  if (profile->name.empty()) {
    std::string_view name = address.file;
    if (name.ends_with(".gguf")) name.remove_suffix(5);
    profile->name = quoted(name);
  }
  return profile;
}

}  // namespace berth::sources
