#include "cluster/version.h"

#include <charconv>
#include <cstdint>
#include <utility>

namespace berth::cluster {
namespace {

using Version = std::pair<std::uint32_t, std::uint32_t>;  // major, minor

Result<Version> parse(std::string_view text) {
  Version version;
  const char* end = text.data() + text.size();
  const auto major = std::from_chars(text.data(), end, version.first);
  const bool has_minor = major.ec == std::errc{} && major.ptr != end && *major.ptr == '.';
  if (has_minor) {
    const auto minor = std::from_chars(major.ptr + 1, end, version.second);
    if (minor.ec == std::errc{}) return version;
  }
  return fail(make_error(ErrorCode::invalid_parameter, "\"{}\" is no version of Berth", text)
                  .with_field("version"));
}

}  // namespace

Result<void> check_versions(std::string_view server, std::string_view worker) {
  BERTH_TRY(const Version ours, parse(server));
  BERTH_TRY(const Version theirs, parse(worker));
  const auto [older, newer] = std::minmax(ours.second, theirs.second);
  if (ours.first == theirs.first && newer - older <= 1) return {};
  return fail(ErrorCode::conflict,
              "the server is version {} and the worker {}, which do not work together (one minor "
              "version may lie between them); upgrade the {}",
              server, worker, ours < theirs ? "server" : "worker");
}

}  // namespace berth::cluster
