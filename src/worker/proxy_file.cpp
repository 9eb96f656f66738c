#include "worker/proxy_file.h"

#include "base/files.h"
#include "base/json.h"

namespace berth::worker {

Result<ProxyFile> read_proxy_file(const std::filesystem::path& path) {
  BERTH_TRY(const std::string text, read_file(path));
  auto file = [&]() -> Result<ProxyFile> {
    BERTH_TRY(const json::value value, parse_json(text));
    return from_json<ProxyFile>(value, UnknownMembers::ignore);
  }();
  if (file) return file;
  Error error = std::move(file).error();
  error.code = ErrorCode::corrupt;
  return fail(std::move(error).context("{}", path.string()));
}

Result<void> write_proxy_file(const std::filesystem::path& path, const ProxyFile& file) {
  return write_file_atomic(path, to_text(to_json(file, Secrets::show)), 0600);
}

}  // namespace berth::worker
