#include "sources/hub/file_set.h"

#include "sources/hub/request.h"
#include "sources/range_reader.h"

#include <algorithm>
#include <map>
#include <mutex>

namespace berth::sources {
namespace {

// Enough for most headers of safetensors, of which a model may have hundreds.
constexpr Bytes kSmallBlock = 256_KiB;

// Open files that nobody reads just now, each with the blocks that it fetched last: a model is told
// in several looks at the same header. Thread-safe.
class IdleFiles {
 public:
  std::unique_ptr<formats::ByteSource> take(std::string_view path) {
    const std::lock_guard lock(mutex_);
    const auto found = sources_.find(path);
    return found == sources_.end() ? nullptr : std::move(sources_.extract(found).mapped());
  }
  void give(std::string path, std::unique_ptr<formats::ByteSource> source) {
    const std::lock_guard lock(mutex_);
    if (sources_.size() < kMost) sources_.insert_or_assign(std::move(path), std::move(source));
  }

 private:
  static constexpr std::size_t kMost = 64;

  std::mutex mutex_;
  std::map<std::string, std::unique_ptr<formats::ByteSource>, std::less<>> sources_;
};

// A file that is idle again when it is closed.
class OpenFile final : public formats::ByteSource {
 public:
  OpenFile(std::shared_ptr<IdleFiles> idle, std::string path,
           std::unique_ptr<formats::ByteSource> source)
      : idle_(std::move(idle)), path_(std::move(path)), source_(std::move(source)) {}
  ~OpenFile() override { idle_->give(std::move(path_), std::move(source_)); }

  [[nodiscard]] std::uint64_t size() const override { return source_->size(); }
  Result<std::span<const std::byte>> read(std::uint64_t offset, std::uint64_t length) override {
    return source_->read(offset, length);
  }

 private:
  std::shared_ptr<IdleFiles> idle_;
  std::string path_;
  std::unique_ptr<formats::ByteSource> source_;
};

class Repository final : public formats::FileSet {
 public:
  Repository(const HubListing& listing, std::vector<HubFile> files, const HubSettings& settings)
      : hub_(listing.name.hub), http_(http_options_for(listing.name, settings)) {
    name_ = to_text({.hub = listing.name.hub, .repository = listing.name.repository});
    std::ranges::sort(files, {}, &HubFile::path);
    for (const auto& file : files) entries_.push_back({file.path, file.size});
    files_ = std::move(files);
  }

  [[nodiscard]] std::string_view name() const override { return name_; }
  [[nodiscard]] const std::vector<formats::FileEntry>& files() const override { return entries_; }
  [[nodiscard]] Result<std::unique_ptr<formats::ByteSource>> open(
      std::string_view path) const override;
  [[nodiscard]] std::string locate(std::string_view path) const override {
    const HubFile* file = at(path);
    return file == nullptr ? fmt::format("{}/{}", name_, path) : file->url;
  }

 private:
  [[nodiscard]] const HubFile* at(std::string_view path) const {
    const auto found = std::ranges::lower_bound(files_, path, {}, &HubFile::path);
    return found != files_.end() && found->path == path ? &*found : nullptr;
  }

  Hub hub_;
  HttpOptions http_;
  std::string name_;
  std::shared_ptr<IdleFiles> idle_ = std::make_shared<IdleFiles>();
  std::vector<HubFile> files_;  // sorted by path, as are the entries
  std::vector<formats::FileEntry> entries_;
};

Result<std::unique_ptr<formats::ByteSource>> Repository::open(std::string_view path) const {
  const HubFile* file = at(path);
  if (file == nullptr) return fail(ErrorCode::not_found, "there is no {} in {}", path, name_);
  if (auto source = idle_->take(path)) {
    return std::make_unique<OpenFile>(idle_, file->path, std::move(source));
  }
  RangeOptions options{.http = http_};
  if (!path.ends_with(".gguf")) options.first_block = kSmallBlock;
  BERTH_TRY(auto source, open_url(file->url, options));
  if (Bytes{source->size()} != file->size) {
    return fail(ErrorCode::corrupt, "{}: {} lists {} with {} bytes and sends a file of {}", name_,
                title_of(hub_), sources::quoted(path), file->size.count, source->size());
  }
  return std::make_unique<OpenFile>(idle_, file->path, std::move(source));
}

}  // namespace

Result<std::unique_ptr<formats::FileSet>> open_repository(const HubListing& listing,
                                                          const std::vector<std::string>& paths,
                                                          const HubSettings& settings) {
  std::vector<HubFile> files;
  for (const auto& path : paths) {
    const HubFile* file = listing.find(path);
    if (file == nullptr) {
      return fail(about_source(ErrorCode::not_found, "{}: the repository has no file {}",
                               to_text(listing.name), sources::quoted(path)));
    }
    files.push_back(*file);
  }
  return std::make_unique<Repository>(listing, std::move(files), settings);
}

}  // namespace berth::sources
