#include "formats/byte_source.h"

#include "base/regular_file.h"

namespace berth::formats {
namespace {

Result<void> check_range(std::uint64_t offset, std::uint64_t length, std::uint64_t size) {
  if (offset <= size && length <= size - offset) return {};
  return fail(ErrorCode::corrupt, "{} bytes are wanted at byte {} but the file has {}", length,
              offset, size);
}

class FileSource : public ByteSource {
 public:
  explicit FileSource(RegularFile file) : file_(std::move(file)) {}
  [[nodiscard]] std::uint64_t size() const override { return file_.size().count; }
  Result<std::span<const std::byte>> read(std::uint64_t offset, std::uint64_t length) override {
    BERTH_CHECK(check_range(offset, length, size()));
    if (window_.size() < length) window_.resize(length);
    const auto part = std::span(window_).first(length);
    BERTH_CHECK(file_.read_at(offset, part));
    return part;
  }

 private:
  RegularFile file_;
  std::vector<std::byte> window_;
};

}  // namespace

Result<std::span<const std::byte>> MemorySource::read(std::uint64_t offset, std::uint64_t length) {
  BERTH_CHECK(check_range(offset, length, size()));
  return std::span<const std::byte>(bytes_).subspan(offset, length);
}

Result<std::unique_ptr<ByteSource>> open_file(const std::filesystem::path& path) {
  BERTH_TRY(auto file, RegularFile::open(path));
  return std::make_unique<FileSource>(std::move(file));
}

}  // namespace berth::formats
