#include "sources/download/download.h"

#include "base/files.h"
#include "base/ids.h"
#include "sources/download/chunk_transfer.h"
#include "sources/download/part_file.h"

#include <algorithm>

namespace berth::sources {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kLongestName = 255;  // NAME_MAX of the file systems there are
constexpr int kMostConnections = 16;
constexpr std::size_t kMostChunks = 1 << 24;
constexpr std::size_t kLongestTag = 1024;

bool is_hex(std::string_view text, std::size_t length) {
  return text.size() == length &&
         text.find_first_not_of("0123456789abcdef") == std::string_view::npos;
}

bool is_good(const HubDigest& digest) {
  switch (digest.kind) {
    case DigestKind::none:
      return true;
    case DigestKind::sha256:
      return is_hex(digest.hex, 64);
    case DigestKind::git_blob:
      return is_hex(digest.hex, 40);
  }
  return false;
}

Result<void> check_path(const fs::path& path) {
  const std::string& text = path.native();
  const std::string name = path.filename();
  const bool is_plain = path.is_absolute() && !name.empty() &&
                        path.lexically_normal().native() == text &&
                        text.find('\0') == std::string::npos;
  if (!is_plain) {
    return fail(make_error(ErrorCode::invalid_parameter,
                           "path: {} is no absolute path of a file without \"..\" and \"//\"",
                           sources::quoted(text))
                    .with_field("path"));
  }
  if (journal_path(path).filename().native().size() > kLongestName) {
    return fail(make_error(ErrorCode::invalid_parameter,
                           "path: the name {} leaves no room for \".part.journal\" after it",
                           sources::quoted(name))
                    .with_field("path"));
  }
  return {};
}

Result<void> check(const DownloadRequest& request, const DownloadOptions& options) {
  BERTH_CHECK(check_path(request.path));
  if (!is_good(request.digest)) {
    return fail(ErrorCode::invalid_parameter, "the {} of {} is not written in lower-case digits",
                name_of(request.digest.kind), request.shown());
  }
  if (request.size.count > INT64_MAX || request.etag.size() > kLongestTag) {
    return fail(ErrorCode::invalid_parameter, "no file has the size or the ETag asked for");
  }
  if (options.connections < 1 || options.connections > kMostConnections) {
    return fail(ErrorCode::invalid_parameter, "{} connections: 1 to {} are allowed",
                options.connections, kMostConnections);
  }
  if (options.chunk.count == 0 || request.size.count / options.chunk.count > kMostChunks) {
    return fail(ErrorCode::invalid_parameter, "chunks of {} do not do for a file of {}",
                options.chunk, request.size);
  }
  return {};
}

// Whether the file is there. Fails with conflict where something else is.
Result<bool> is_there(const DownloadRequest& request) {
  std::error_code error;
  const auto status = fs::symlink_status(request.path, error);
  if (status.type() == fs::file_type::not_found) return false;
  if (error) return fail_errno(error.value(), "looking at {}", request.path.string());
  if (status.type() != fs::file_type::regular) {
    return fail(ErrorCode::conflict, "{} is there and is no regular file; move it away",
                request.path.string());
  }
  const Bytes size{fs::file_size(request.path, error)};
  if (error) return fail_errno(error.value(), "looking at {}", request.path.string());
  if (size == request.size) return true;
  return fail(ErrorCode::conflict,
              "{} is there with {} bytes, and what is to be downloaded has {}; move it away",
              request.path.string(), size.count, request.size.count);
}

Result<FileLock> wait_for_owner(const DownloadRequest& request, const DownloadOptions& options) {
  // flock has no way to be stopped, so look again and again.
  constexpr auto kPause = std::chrono::milliseconds(50);
  const fs::path path =
      options.lock.empty() ? fs::path(request.path.string() + ".lock") : options.lock;
  SteadyTime reported{};
  while (true) {
    auto lock = FileLock::try_acquire(path);
    if (lock || lock.error().code != ErrorCode::conflict) return lock;
    const SteadyTime now = real_clock().steady_now();
    if (options.on_progress && now - reported >= options.progress_interval) {
      reported = now;
      options.on_progress({.phase = DownloadPhase::waiting, .total = request.size});
    }
    if (options.stop.stop_requested()) {
      return fail(ErrorCode::cancelled, "stopped while another download of {} was running",
                  request.shown());
    }
    wait_for(kPause, options.stop);
  }
}

// What stands for the content. An address may hold a signature, so it is not written as it is.
std::string identity_of(const DownloadRequest& request) {
  if (request.digest.kind != DigestKind::none) {
    return fmt::format("{} {}", name_of(request.digest.kind), request.digest.hex);
  }
  return fmt::format("address {} {}", sha256_hex(request.address.url), request.commit);
}

// Without a digest, parts are put together only where something tells versions apart.
bool may_be_mixed(const DownloadRequest& request, const FileVersion& version) {
  return request.digest.kind == DigestKind::none && request.commit.empty() &&
         version.etag.empty() && version.modified.empty();
}

// A download by the owner of its lock.
class Owner {
 public:
  Owner(const DownloadRequest& request, const DownloadOptions& options, PartFile part)
      : request_(request), options_(options), part_(std::move(part)) {}

  Result<Downloaded> run();

 private:
  Result<Hindrance> fetch(bool by_range, bool may_resume);
  Result<void> verify();

  const DownloadRequest& request_;
  const DownloadOptions& options_;
  PartFile part_;
  std::string digest_;  // that what came has
  Bytes fetched_;
};

Result<Hindrance> Owner::fetch(bool by_range, bool may_resume) {
  ChunkPlan plan{.by_range = by_range,
                 .chunk = by_range ? options_.chunk.count : request_.size.count};
  Bytes missing = request_.size;
  auto there = by_range && may_resume ? part_.resume() : std::nullopt;
  if (there && !may_be_mixed(request_, there->version)) {
    const auto done = std::ranges::count(there->done, true);
    missing -= options_.chunk * static_cast<std::uint64_t>(done);
    plan.there = *std::move(there);
    plan.is_resumed = true;
  } else {
    BERTH_CHECK(part_.restart(std::nullopt));
  }
  auto& ledger = options_.space ? *options_.space : process_space();
  BERTH_TRY(auto space, ledger.reserve(request_.path.parent_path(), missing, request_.shown()));
  ChunkTransfer transfer(request_, options_, part_, space, std::move(plan));
  auto end = transfer.run();
  fetched_ += transfer.received();
  digest_ = transfer.digest();
  return end;
}

Result<void> Owner::verify() {
  const HubDigest& digest = request_.digest;
  if (digest.kind == DigestKind::none || digest_ == digest.hex) return {};
  part_.remove();
  return fail(
      ErrorCode::corrupt,
      "what came from {} has the {} {}, and it must have {}; it was deleted. Try again; if that "
      "goes on, the file at the source is not the one that was listed",
      request_.address.shown, name_of(digest.kind), digest_, digest.hex);
}

Result<Downloaded> Owner::run() {
  bool by_range = request_.size > options_.chunk;
  bool may_resume = true;
  for (int restarts = 0;;) {
    BERTH_TRY(const auto end, fetch(by_range, may_resume));
    if (end == Hindrance::none) break;
    if (end == Hindrance::no_ranges) by_range = false;
    if (end != Hindrance::changed) continue;
    may_resume = false;
    if (++restarts > options_.restarts) {
      return fail(ErrorCode::conflict,
                  "the file at {} goes on changing while it is downloaded ({} times); try again "
                  "later, or name a revision that stays",
                  request_.address.shown, restarts);
    }
  }
  BERTH_CHECK(verify());
  BERTH_CHECK(part_.publish());
  return Downloaded{.was_there = false, .fetched = fetched_};
}

}  // namespace

Result<Downloaded> download(const DownloadRequest& request, const DownloadOptions& options) {
  BERTH_CHECK(check(request, options));
  BERTH_TRY(const bool was_there, is_there(request));
  if (was_there) return Downloaded{.was_there = true};
  BERTH_TRY(const auto lock, wait_for_owner(request, options));
  BERTH_TRY(const bool is_here_now, is_there(request));
  if (is_here_now) {
    // Of an owner that was killed after it gave the file its name.
    std::error_code error;
    fs::remove(journal_path(request.path), error);
    return Downloaded{.was_there = true};
  }
  BERTH_TRY(auto part, PartFile::open(request.path, {.source = identity_of(request),
                                                     .size = request.size,
                                                     .chunk = options.chunk}));
  auto done = Owner(request, options, std::move(part)).run();
  if (done) return done;
  Error error = std::move(done).error();
  error.message = fmt::format("downloading {}: {}", request.shown(), error.message);
  return fail(std::move(error));
}

}  // namespace berth::sources
