#include "profile_here.h"

#include "base/log.h"
#include "sources/address.h"
#include "sources/local.h"
#include "sources/local_model.h"

#include <filesystem>

namespace berth::app {

Result<std::string> whole_source(const std::string& text) {
  if (sources::is_remote(text)) return sources::normalise_remote(text);
  std::error_code error;
  const auto here = std::filesystem::current_path(error);
  if (error) return fail(ErrorCode::io, "the current folder is unknown: {}", error.message());
  BERTH_TRY(const auto path, sources::normalise_source(text, here));
  return path.string();
}

Result<sources::RemoteModel> profile_here(std::string& source) {
  if (sources::is_remote(source)) {
    start_logging("berth", "warn");  // about tokens: standard output is for the answer
    return sources::profile_remote(source);
  }
  BERTH_TRY(auto found, sources::profile_local(source));
  source = std::move(found.path);
  return sources::RemoteModel{.profile = std::move(found.profile), .choice = std::nullopt};
}

}  // namespace berth::app
