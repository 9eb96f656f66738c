#include "sources/header_file.h"

#include "base/ids.h"
#include "base/owned_fd.h"
#include "formats/gguf_header.h"

#include <cerrno>
#include <span>
#include <string_view>
#include <system_error>

#include <fcntl.h>

namespace berth::sources {
namespace {

namespace fs = std::filesystem;

Error failed(const fs::path& path) {
  return make_error(ErrorCode::io, "{} can not be written: {}", path.string(),
                    std::generic_category().message(errno));
}

Result<void> fill(int file, const fs::path& path, std::span<const std::byte> header,
                  std::uint64_t size) {
  while (!header.empty()) {
    const auto written = ::write(file, header.data(), header.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return fail(failed(path));
    header = header.subspan(static_cast<std::size_t>(written));
  }
  if (::ftruncate(file, static_cast<off_t>(size)) != 0) return fail(failed(path));
  return {};
}

Result<void> write_with_hole(const fs::path& path, std::span<const std::byte> header,
                             std::uint64_t size) {
  const OwnedFd file(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!file.valid()) return fail(failed(path));
  auto written = fill(file.get(), path, header, size);
  if (!written) ::unlink(path.c_str());
  return written;
}

}  // namespace

Result<HeaderFile> fetch_header(const std::string& url, const fs::path& to,
                                const HeaderOptions& options) {
  BERTH_TRY(const auto address, parse_address(url));
  BERTH_TRY(const auto source, open_url(address, options.range));
  if (options.size && *options.size != Bytes{source->size()}) {
    return fail(ErrorCode::corrupt, "{} has {} bytes, and should have {}", address.shown,
                source->size(), options.size->count);
  }
  BERTH_TRY(const auto header, formats::read_header(*source, address.shown, options.most));
  BERTH_CHECK(write_with_hole(to, header, source->size()));
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes as characters
  const std::string_view text(reinterpret_cast<const char*>(header.data()), header.size());
  return HeaderFile{
      .size = Bytes{source->size()}, .header = Bytes{header.size()}, .sha256 = sha256_hex(text)};
}

}  // namespace berth::sources
