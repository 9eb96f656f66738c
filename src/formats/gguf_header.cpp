#include "formats/gguf_header.h"

#include "formats/gguf.h"

#include <algorithm>
#include <utility>

namespace berth::formats {
namespace {

// Read at once. A remote source fetches blocks that are larger.
constexpr std::uint64_t kStep = 64 << 10;

// A source that keeps everything up to the last byte that was asked for.
class KeptFront final : public ByteSource {
 public:
  KeptFront(ByteSource& source, Bytes most) : source_(source), most_(most) {}

  [[nodiscard]] std::uint64_t size() const override { return source_.size(); }
  Result<std::span<const std::byte>> read(std::uint64_t offset, std::uint64_t length) override {
    if (offset > size() || length > size() - offset) {
      return fail(ErrorCode::corrupt, "{} bytes are wanted at byte {} but the file has {}", length,
                  offset, size());
    }
    BERTH_CHECK(read_to(offset + length));
    return std::span<const std::byte>(bytes_).subspan(offset, length);
  }

  // Everything before `end`, which is no further than the file's.
  Result<std::vector<std::byte>> take(std::uint64_t end) && {
    BERTH_CHECK(read_to(end));
    bytes_.resize(end);
    return std::move(bytes_);
  }

 private:
  Result<void> read_to(std::uint64_t end) {
    if (Bytes{end} > most_) {
      return fail(ErrorCode::too_large, "its header is longer than {}", most_);
    }
    while (bytes_.size() < end) {
      const auto length = std::min<std::uint64_t>(kStep, size() - bytes_.size());
      BERTH_TRY(const auto read, source_.read(bytes_.size(), length));
      bytes_.insert(bytes_.end(), read.begin(), read.end());
    }
    return {};
  }

  ByteSource& source_;
  Bytes most_;
  std::vector<std::byte> bytes_;
};

}  // namespace

Result<std::vector<std::byte>> read_header(ByteSource& source, std::string_view name, Bytes most) {
  KeptFront front(source, most);
  BERTH_TRY(const auto file, read_gguf(front, name));
  return std::move(front).take(std::min(file.data_offset, file.size));
}

}  // namespace berth::formats
