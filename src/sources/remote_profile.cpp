#include "sources/remote_profile.h"

#include "formats/profile.h"

namespace berth::sources {

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
