#include "formats/read_once.h"

#include <map>
#include <optional>
#include <utility>

namespace berth::formats {
namespace {

constexpr std::size_t kMostFiles = 128;
constexpr Bytes kMostBytes = 64_MiB;

struct Piece {
  std::uint64_t offset = 0;
  std::vector<std::byte> bytes;
};

// A file that is open, and what was read of it.
struct Kept {
  std::unique_ptr<ByteSource> source;
  std::vector<Piece> pieces;
};

// The part of a piece that is wanted; nothing where none has it all.
std::optional<std::span<const std::byte>> find_piece(const Kept& file, std::uint64_t offset,
                                                     std::uint64_t length) {
  for (const Piece& piece : file.pieces) {
    if (offset < piece.offset) continue;
    const std::uint64_t ahead = offset - piece.offset;
    if (ahead <= piece.bytes.size() && length <= piece.bytes.size() - ahead) {
      return std::span(piece.bytes).subspan(ahead, length);
    }
  }
  return std::nullopt;
}

// One reader's view of a file that is kept.
class View final : public ByteSource {
 public:
  View(std::shared_ptr<Kept> file, std::shared_ptr<Bytes> kept)
      : file_(std::move(file)), kept_(std::move(kept)) {}

  [[nodiscard]] std::uint64_t size() const override { return file_->source->size(); }
  Result<std::span<const std::byte>> read(std::uint64_t offset, std::uint64_t length) override {
    if (const auto found = find_piece(*file_, offset, length)) return *found;
    BERTH_TRY(const auto bytes, file_->source->read(offset, length));
    std::vector<std::byte> copy(bytes.begin(), bytes.end());
    if (*kept_ + Bytes{length} <= kMostBytes) {
      *kept_ += Bytes{length};
      return std::span<const std::byte>(file_->pieces.emplace_back(offset, std::move(copy)).bytes);
    }
    window_ = std::move(copy);  // another view may read on before this one does
    return std::span<const std::byte>(window_);
  }

 private:
  std::shared_ptr<Kept> file_;
  std::shared_ptr<Bytes> kept_;  // of all files together
  std::vector<std::byte> window_;
};

class ReadOnce final : public FileSet {
 public:
  explicit ReadOnce(const FileSet& files) : files_(files) {}

  [[nodiscard]] std::string_view name() const override { return files_.name(); }
  [[nodiscard]] const std::vector<FileEntry>& files() const override { return files_.files(); }
  [[nodiscard]] std::string locate(std::string_view path) const override {
    return files_.locate(path);
  }
  [[nodiscard]] Result<std::unique_ptr<ByteSource>> open(std::string_view path) const override {
    auto known = open_.find(path);
    if (known == open_.end()) {
      BERTH_TRY(auto source, files_.open(path));
      if (open_.size() == kMostFiles) return source;
      known = open_.emplace(path, std::make_shared<Kept>(std::move(source))).first;
    }
    return std::make_unique<View>(known->second, kept_);
  }

 private:
  const FileSet& files_;
  mutable std::map<std::string, std::shared_ptr<Kept>, std::less<>> open_;
  std::shared_ptr<Bytes> kept_ = std::make_shared<Bytes>();
};

}  // namespace

std::unique_ptr<FileSet> read_once(const FileSet& files) {
  return std::make_unique<ReadOnce>(files);
}

}  // namespace berth::formats
