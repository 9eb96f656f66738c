#include "sources/remote_profile.h"

#include "formats/gguf_parts.h"
#include "formats/profile.h"
#include "sources/cache/profile.h"
#include "sources/hub/profile.h"

namespace berth::sources {
namespace {

// What lies beside an address: nobody lists it, but names can be tried.
class Beside final : public formats::FileSet {
 public:
  Beside(std::string folder, RangeOptions options)
      : folder_(std::move(folder)), options_(std::move(options)) {}

  [[nodiscard]] std::string_view name() const override { return folder_; }
  [[nodiscard]] const std::vector<formats::FileEntry>& files() const override { return none_; }
  [[nodiscard]] Result<std::unique_ptr<formats::ByteSource>> open(
      std::string_view path) const override {
    return open_url(locate(path), options_);
  }
  [[nodiscard]] std::string locate(std::string_view path) const override {
    return folder_ + std::string(path);
  }

 private:
  std::string folder_;
  RangeOptions options_;
  std::vector<formats::FileEntry> none_;
};

// All parts of the model of which `first` is one. A query may be good for one file only.
Result<std::vector<formats::GgufPart>> parts_of(const Address& address, formats::GgufPart first,
                                                const RangeOptions& options) {
  if (address.url.find('?') != std::string::npos) {
    return fail(ErrorCode::unsupported,
                "{}: it is one of the {} parts of a model (split.count), and the others are not "
                "found by an address with a query; download all of them and give the path of one",
                address.shown,
                formats::find_number(first.file.metadata, "split.count").value_or(0));
  }
  const auto name = address.url.rfind('/') + 1;
  return formats::read_parts(Beside(address.url.substr(0, name), options), address.url.substr(name),
                             std::move(first));
}

}  // namespace

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
  auto connections = std::move(settings.http.connections);
  settings.http = options.http;
  if (!settings.http.connections) settings.http.connections = std::move(connections);
  auto asked = profile_hub(name, settings);
  const bool is_away = !asked && (asked.error().code == ErrorCode::unavailable ||
                                  asked.error().code == ErrorCode::timeout);
  if (is_away) {
    BERTH_TRY(const auto places, read_cache_places());
    if (auto cached = profile_cached(name, places)) asked = std::move(cached);
  }
  if (!asked) return fail(std::move(asked).error());
  HubModel found = *std::move(asked);
  return RemoteModel{.profile = std::move(found.profile),
                     .choice = std::move(found.choice),
                     .files = std::move(found.files)};
}

Result<model::ModelProfile> profile_url(std::string_view url, const RangeOptions& options) {
  BERTH_TRY(const auto address, parse_address(url));
  BERTH_TRY(const auto source, open_url(address, options));
  BERTH_TRY(auto file, formats::read_gguf(*source, address.shown));
  formats::GgufPart first{.path = address.url, .file = std::move(file)};
  std::vector<formats::GgufPart> parts;
  if (formats::find_number(first.file.metadata, "split.count").value_or(1) > 1) {
    BERTH_TRY(parts, parts_of(address, std::move(first), options));
  } else {
    parts.push_back(std::move(first));
  }
  auto profile = formats::profile_of(parts);
  if (!profile) {
    Error error = std::move(profile).error();
    error.message = fmt::format("{}: {}", address.shown, error.message);
    return fail(std::move(error));
  }
  if (profile->name.empty()) {
    const auto split = formats::parse_split_name(address.file);
    std::string_view name = split ? std::string_view(split->stem) : address.file;
    if (name.ends_with(".gguf")) name.remove_suffix(5);
    profile->name = quoted(name);
  }
  return profile;
}

}  // namespace berth::sources
