#include "sources/hub/file_set.h"

#include "sources/hub/request.h"
#include "sources/range_reader.h"

#include <algorithm>

namespace berth::sources {
namespace {

// Enough for most headers of safetensors, of which a model may have hundreds.
constexpr Bytes kSmallBlock = 256_KiB;

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
  std::vector<HubFile> files_;  // sorted by path, as are the entries
  std::vector<formats::FileEntry> entries_;
};

Result<std::unique_ptr<formats::ByteSource>> Repository::open(std::string_view path) const {
  const HubFile* file = at(path);
  if (file == nullptr) return fail(ErrorCode::not_found, "there is no {} in {}", path, name_);
  RangeOptions options{.http = http_};
  if (!path.ends_with(".gguf")) options.first_block = kSmallBlock;
  BERTH_TRY(auto source, open_url(file->url, options));
  if (Bytes{source->size()} != file->size) {
    return fail(ErrorCode::corrupt, "{}: {} lists {} with {} bytes and sends a file of {}", name_,
                title_of(hub_), sources::quoted(path), file->size.count, source->size());
  }
  return source;
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
