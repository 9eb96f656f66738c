#include "sources/cache/profile.h"

#include "sources/cache/cache.h"
#include "sources/hub/files.h"
#include "sources/hub/request.h"

namespace berth::sources {
namespace {

// Files that may lie apart, as Ollama's do, by their paths in the repository.
class CachedSet final : public formats::FileSet {
 public:
  CachedSet(const model::RepositoryFiles& files, LocalFiles local)
      : name_(files.source), local_(std::move(local)) {
    entries_.reserve(files.files.size());
    for (const auto& file : files.files) entries_.push_back({file.path, file.size});
  }

  [[nodiscard]] std::string_view name() const override { return name_; }
  [[nodiscard]] const std::vector<formats::FileEntry>& files() const override { return entries_; }
  [[nodiscard]] Result<std::unique_ptr<formats::ByteSource>> open(
      std::string_view path) const override {
    const auto found = local_.paths.find(std::string(path));
    if (found == local_.paths.end()) {
      return fail(ErrorCode::not_found, "there is no {} in {}", path, name_);
    }
    return formats::open_file(found->second);
  }
  [[nodiscard]] std::string locate(std::string_view path) const override {
    const auto found = local_.paths.find(std::string(path));
    return found == local_.paths.end() ? std::string(path) : found->second.string();
  }

 private:
  std::string name_;
  LocalFiles local_;
  std::vector<formats::FileEntry> entries_;  // sorted by path, as the files are
};

}  // namespace

Result<HubModel> profile_cached(const HubName& name, const CachePlaces& places) {
  BERTH_TRY(const auto listing, list_cached(name, places));
  const auto open =
      [&](const std::vector<std::string>& paths) -> Result<std::unique_ptr<formats::FileSet>> {
    BERTH_TRY(const auto files, files_of(listing, paths));
    BERTH_TRY(auto local, find_cached(files, places));
    if (!local) {
      return fail(about_source(ErrorCode::not_found, "{}: not all of its files are on this machine",
                               to_text(name)));
    }
    return std::make_unique<CachedSet>(files, *std::move(local));
  };
  BERTH_TRY(auto found, profile_listed(listing, open));
  found.choice.reason += "; of the files on this machine, since the hub could not be asked";
  return found;
}

}  // namespace berth::sources
