// fetch_files: what is missing, downloaded into its hub's layout.
#include "sources/cache/plain_folder.h"
#include "sources/download/part_file.h"
#include "sources/download/speed_meter.h"
#include "sources/hub/client.h"
#include "sources/hub/files.h"
#include "sources/hub/request.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <map>
#include <mutex>
#include <thread>

#include <spdlog/spdlog.h>

namespace berth::sources {

namespace fs = std::filesystem;

namespace {

// Of files that come in one request each: what takes time is the way to the hub and back.
constexpr std::size_t kSmallAtOnce = 4;
// With a mirror that sends nothing: others are there to ask.
constexpr std::chrono::seconds kMirrorPatience{15};

class Fetch {
 public:
  Fetch(const model::RepositoryFiles& files, const CachePlaces& places, const HubSettings& settings,
        const FetchOptions& options)
      : files_(files),
        places_(places),
        settings_(settings),
        options_(options),
        layout_(layout_of(files.hub, places)),
        total_(total_size(files)) {}

  Result<LocalFiles> run();

 private:
  Result<std::optional<LocalFiles>> read_folders(ContentCheck& check);
  [[nodiscard]] Result<void> may_ask_hub() const;
  [[nodiscard]] Result<void> see_space(const std::vector<CacheSlot>& slots) const;
  Result<void> fetch_all(const std::vector<CacheSlot>& slots);
  Result<void> fetch_small(const std::vector<CacheSlot>& slots,
                           const std::vector<std::size_t>& indices);
  [[nodiscard]] Result<LocalFiles> gather(const std::vector<CacheSlot>& slots) const;
  Result<void> fetch_one(const CacheSlot& slot, std::size_t index, DownloadOptions options);
  Result<Downloaded> download_one(const CacheSlot& slot, std::size_t index,
                                  DownloadOptions options);
  Result<Downloaded> download_mirrored(const Mirror& mirror, DownloadRequest request,
                                       std::size_t index, DownloadOptions options) const;
  [[nodiscard]] const Mirror* mirror_for(const model::RepositoryFile& file) const;
  [[nodiscard]] DownloadOptions options_for_all(std::stop_token stop) const;
  void report(FetchPhase phase, const model::RepositoryFile& file, Bytes done,
              Bytes per_second) const;

  const model::RepositoryFiles& files_;
  const CachePlaces& places_;
  const HubSettings& settings_;
  const FetchOptions& options_;
  std::unique_ptr<CacheLayout> layout_;
  Bytes total_;
  Bytes done_;  // files that are there
  std::vector<Mirror> mirrors_;
  std::atomic<std::size_t> failed_mirrors_ = 0;  // the first ones
};

void Fetch::report(FetchPhase phase, const model::RepositoryFile& file, Bytes done,
                   Bytes per_second) const {
  if (!options_.on_progress) return;
  const Mirror* mirror = mirror_for(file);
  options_.on_progress({.phase = phase,
                        .file = file.path,
                        .from = mirror == nullptr ? std::string() : mirror->name,
                        .done = std::min(done, total_),
                        .total = total_,
                        .per_second = per_second});
}

FetchPhase phase_of(DownloadPhase phase) {
  switch (phase) {
    case DownloadPhase::waiting:
      return FetchPhase::waiting;
    case DownloadPhase::downloading:
      return FetchPhase::downloading;
    case DownloadPhase::verifying:
      return FetchPhase::verifying;
  }
  return FetchPhase::waiting;
}

DownloadOptions Fetch::options_for_all(std::stop_token stop) const {
  DownloadOptions options = options_.download;
  options.http = http_options_for(hub_name_of(files_), settings_);
  options.on_progress = nullptr;
  options.stop = std::move(stop);
  return options;
}

// The one to be asked next; null: the hub.
const Mirror* Fetch::mirror_for(const model::RepositoryFile& file) const {
  const std::size_t index = failed_mirrors_;
  const bool is_checked = file.digest.kind != model::DigestKind::none;
  return is_checked && index < mirrors_.size() ? &mirrors_[index] : nullptr;
}

Result<Downloaded> Fetch::download_mirrored(const Mirror& mirror, DownloadRequest request,
                                            std::size_t index, DownloadOptions options) const {
  BERTH_TRY(request.address, parse_address(fmt::format("{}/{}", mirror.base, index)));
  options.http = {.deadlines = options.http.deadlines,
                  .retries = options.http.retries,
                  .bearer_token = mirror.token,
                  .direct = true};
  options.patience = std::min<Duration>(options.patience, kMirrorPatience);
  return download(request, options);
}

// What came of a file is kept when its mirror fails, and the next one goes on from there.
Result<Downloaded> Fetch::download_one(const CacheSlot& slot, std::size_t index,
                                       DownloadOptions options) {
  const auto& file = files_.files[index];
  options.lock = slot.lock;
  DownloadRequest request{.address = {},
                          .path = slot.download,
                          .size = file.size,
                          .digest = file.digest,
                          .etag = "",
                          .commit = files_.commit,
                          .name = sources::quoted(file.path)};
  while (const Mirror* mirror = mirror_for(file)) {
    auto done = download_mirrored(*mirror, request, index, options);
    if (done || options.stop.stop_requested()) return done;
    spdlog::info("{} is asked for no more of {}: {}", mirror->name, files_.source,
                 done.error().to_string());
    auto failed = static_cast<std::size_t>(mirror - mirrors_.data());
    failed_mirrors_.compare_exchange_strong(failed, failed + 1);
  }
  BERTH_CHECK(may_ask_hub());
  BERTH_TRY(request.address, parse_address(url_of(files_, file, settings_)));
  return download(request, options);
}

// Thread-safe.
Result<void> Fetch::fetch_one(const CacheSlot& slot, std::size_t index, DownloadOptions options) {
  const auto& file = files_.files[index];
  const std::stop_token stop = options.stop;
  bool was_there = false;
  if (!slot.has_content) {
    BERTH_TRY(const auto done, download_one(slot, index, std::move(options)));
    was_there = done.was_there;
  }
  return layout_->place(file, slot, was_there, stop);
}

Result<void> Fetch::fetch_small(const std::vector<CacheSlot>& slots,
                                const std::vector<std::size_t>& indices) {
  std::mutex mutex;
  std::condition_variable changed;
  std::size_t next = 0;
  std::size_t finished = 0;
  std::size_t working = std::min(kSmallAtOnce, indices.size());
  std::optional<Error> failure;
  std::stop_source stop;
  const std::stop_callback passed_on(options_.stop, [&] { stop.request_stop(); });
  const auto work = [&] {
    std::unique_lock lock(mutex);
    while (next < indices.size() && !failure) {
      const std::size_t index = indices[next++];
      lock.unlock();
      auto done = fetch_one(slots[index], index, options_for_all(stop.get_token()));
      lock.lock();
      if (done) {
        done_ += files_.files[index].size;
        ++finished;
      } else if (!failure) {
        failure = std::move(done).error();
        stop.request_stop();
      }
      changed.notify_all();
    }
    --working;
    changed.notify_all();
  };
  std::vector<std::jthread> threads;
  threads.reserve(working);
  for (std::size_t i = working; i > 0; --i) threads.emplace_back(work);
  SpeedMeter speed;
  std::unique_lock lock(mutex);
  for (std::size_t reported = indices.size(); working > 0;) {
    changed.wait_for(lock, options_.download.progress_interval,
                     [&] { return working == 0 || finished != reported; });
    reported = finished;
    const auto& file = files_.files[indices[std::min(finished, indices.size() - 1)]];
    const Bytes done = done_;
    lock.unlock();
    speed.add(real_clock().steady_now(), done);
    report(FetchPhase::downloading, file, done, speed.per_second());
    lock.lock();
  }
  if (failure) return fail(*std::move(failure));
  return {};
}

// Of owners that were killed after they gave the file its name: nobody downloads it any more.
void remove_stale_journals(const std::vector<CacheSlot>& slots) {
  for (const auto& slot : slots) {
    std::error_code error;
    const bool is_whole = slot.has_content || (slot.is_there && fs::exists(slot.download, error));
    if (is_whole) fs::remove(journal_path(slot.download), error);
  }
}

// Each download sees to its own space; here it shows before the first whether all have enough.
Result<void> Fetch::see_space(const std::vector<CacheSlot>& slots) const {
  std::map<fs::path, Bytes> missing;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    if (slots[i].is_there || slots[i].has_content) continue;
    Bytes size = files_.files[i].size;
    size -= allocated_size(part_path(slots[i].download));
    missing.emplace(slots[i].download, size);  // one that several share counts once
  }
  if (missing.empty()) return {};
  Bytes sum;
  for (const auto& [path, size] : missing) sum += size;
  auto& ledger = options_.download.space ? *options_.download.space : process_space();
  BERTH_CHECK(ledger.reserve(missing.begin()->first.parent_path(), sum, files_.source));
  return {};
}

Result<void> Fetch::fetch_all(const std::vector<CacheSlot>& slots) {
  std::vector<std::size_t> small;
  std::vector<std::size_t> large;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    if (slots[i].is_there) {
      done_ += files_.files[i].size;
    } else {
      (files_.files[i].size <= options_.download.chunk ? small : large).push_back(i);
    }
  }
  BERTH_CHECK(see_space(slots));
  if (!small.empty()) BERTH_CHECK(fetch_small(slots, small));
  for (const std::size_t index : large) {
    const auto& file = files_.files[index];
    auto options = options_for_all(options_.stop);
    options.on_progress = [&](const DownloadProgress& progress) {
      report(phase_of(progress.phase), file, done_ + progress.done, progress.per_second);
    };
    BERTH_CHECK(fetch_one(slots[index], index, options));
    done_ += file.size;
  }
  report(FetchPhase::downloading, files_.files.back(), done_, 0_B);
  return {};
}

Result<std::optional<LocalFiles>> Fetch::read_folders(ContentCheck& check) {
  auto folders = layout_->plain_folders(files_);
  for (auto& other : other_folders(files_.hub, files_.repository, places_)) {
    folders.push_back(std::move(other));
  }
  for (const auto& folder : folders) {
    BERTH_TRY(auto found, check_folder(folder, files_, check));
    if (found) return found;
  }
  return std::nullopt;
}

Result<LocalFiles> Fetch::run() {
  BERTH_TRY(auto found, find_cached(files_, places_));
  if (found) return *std::move(found);
  ContentCheck check(KnownDigests(places_.known_digests), options_.stop,
                     [&](const model::RepositoryFile& file, Bytes read) {
                       report(FetchPhase::verifying, file, read, 0_B);
                     });
  BERTH_TRY(found, read_folders(check));
  if (found) return *std::move(found);
  BERTH_TRY(const auto slots, layout_->prepare(files_, check));
  remove_stale_journals(slots);
  const bool has_missing =
      std::ranges::any_of(slots, [](const CacheSlot& slot) { return !slot.is_there; });
  const bool must_ask = std::ranges::any_of(
      slots, [](const CacheSlot& slot) { return !slot.is_there && !slot.has_content; });
  if (must_ask && options_.find_mirrors) mirrors_ = options_.find_mirrors();
  if (must_ask && mirrors_.empty()) BERTH_CHECK(may_ask_hub());
  BERTH_CHECK(fetch_all(slots));
  BERTH_CHECK(layout_->finish(files_, settings_, options_for_all(options_.stop), has_missing));
  BERTH_TRY(auto all, gather(slots));
  all.was_fetched = must_ask;
  return all;
}

Result<void> Fetch::may_ask_hub() const {
  if (!settings_.offline) return {};
  return fail(ErrorCode::unavailable,
              "not all files are on this machine, and {} is not asked for the others, because "
              "HF_HUB_OFFLINE is set; unset it, or fetch them where there is a network",
              title_of(files_.hub));
}

// All of them at their places, which somebody may have cleared meanwhile.
Result<LocalFiles> Fetch::gather(const std::vector<CacheSlot>& slots) const {
  LocalFiles all;
  bool has_folder = true;
  for (std::size_t i = 0; i < slots.size(); ++i) {
    const auto& file = files_.files[i];
    std::error_code error;
    if (fs::file_size(slots[i].path, error) != file.size.count || error) {
      return fail(ErrorCode::conflict, "{} is there no more: somebody removed it; try again",
                  slots[i].path.string());
    }
    std::string folder = slots[i].path.native();
    if (folder.ends_with("/" + file.path)) folder.resize(folder.size() - file.path.size() - 1);
    if (i == 0) all.folder = folder;
    has_folder = has_folder && all.folder == folder && folder != slots[i].path;
    all.paths.emplace(file.path, slots[i].path);
  }
  if (!has_folder) all.folder.clear();
  return all;
}

}  // namespace

Result<LocalFiles> fetch_files(const model::RepositoryFiles& files, const CachePlaces& places,
                               const HubSettings& settings, const FetchOptions& options) {
  BERTH_CHECK(check_files(files));
  auto fetched = Fetch(files, places, settings, options).run();
  if (fetched) return fetched;
  Error error = std::move(fetched).error();
  if (!error.message.starts_with(files.source)) {
    error.message = fmt::format("{}: {}", files.source, error.message);
  }
  return fail(std::move(error));
}

}  // namespace berth::sources
