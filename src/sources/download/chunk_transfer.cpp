#include "sources/download/chunk_transfer.h"

#include <algorithm>

namespace berth::sources {
namespace {

constexpr Bytes kHashBuffer = 1_MiB;
// What the patience and the stall bound; libcurl counts a request's milliseconds in 32 bits.
constexpr auto kRequest = std::chrono::hours(24 * 20);
constexpr auto kTotal = std::chrono::hours(24 * 365);

Error cancelled(const DownloadRequest& request) {
  return make_error(ErrorCode::cancelled,
                    "the download of {} was stopped; what came is kept for the next one",
                    request.shown());
}

// A stalled answer is cut by us, and may go better at the next attempt.
bool may_go_better(const HttpFailure& failure) {
  return failure.is_transient || failure.error.code == ErrorCode::timeout;
}

}  // namespace

ChunkTransfer::ChunkTransfer(const DownloadRequest& request, const DownloadOptions& options,
                             PartFile& part, SpaceReservation& space, ChunkPlan plan)
    : request_(request),
      options_(options),
      part_(part),
      space_(space),
      by_range_(plan.by_range),
      chunk_(plan.chunk),
      hooks_{.agree = [this](const FileVersion& version,
                             const HttpHead& head) { return agree(version, head); },
             .take = [this](std::uint64_t offset,
                            std::span<const std::byte> bytes) { return take(offset, bytes); }},
      done_(std::move(plan.there.done)),
      last_progress_(real_clock().steady_now()) {
  if (plan.is_resumed) version_ = std::move(plan.there.version);
  if (chunk_ != 0) done_.resize((request.size.count + chunk_ - 1) / chunk_);  // else: empty
  for (std::size_t index = 0; index < done_.size(); ++index) {
    if (!done_[index]) continue;
    ++done_count_;
    present_ += bytes_of(index).count;
  }
}

ByteRange ChunkTransfer::range_of(std::size_t index) const {
  const std::uint64_t first = index * chunk_;
  return {.first = first, .last = std::min(first + chunk_, request_.size.count) - 1};
}

Bytes ChunkTransfer::bytes_of(std::size_t index) const {
  const auto [first, last] = range_of(index);
  return {last - first + 1};
}

HttpOptions ChunkTransfer::http_options() const {
  HttpOptions http = options_.http;
  http.deadlines.request = kRequest;
  http.total = kTotal;
  http.end = SteadyTime::max();
  http.traffic_limit = {UINT64_MAX};
  http.stop = stop_.get_token();
  return http;
}

Result<Hindrance> ChunkTransfer::run() {
  std::optional<ContentHash> hash;
  if (request_.digest.kind != DigestKind::none) {
    BERTH_TRY(hash, ContentHash::begin(request_.digest.kind, request_.size));
    buffer_.resize(kHashBuffer.count);
  }
  const std::stop_callback on_stop(options_.stop, [this] { end_with(cancelled(request_)); });
  report(true);
  std::vector<std::jthread> threads;
  auto hashed = wait_and_hash(threads, hash ? &*hash : nullptr);
  stop_.request_stop();
  threads.clear();
  if (!hashed) return fail(std::move(hashed).error());  // which stopped the connections
  const Lock lock(mutex_);
  if (hindrance_ != Hindrance::none) return hindrance_;
  if (error_) return fail(*error_);
  if (hash) digest_ = hash->finish();
  return Hindrance::none;
}

// One connection until the version is known, and with it whether the server serves ranges.
void ChunkTransfer::start_connections(std::vector<std::jthread>& threads) {
  const std::size_t missing = done_.size() - done_count_ + threads.size();
  const std::size_t most = version_ ? static_cast<std::size_t>(options_.connections) : 1;
  while (threads.size() < std::min(most, missing)) {
    threads.emplace_back([this] { work(); });
  }
}

Result<void> ChunkTransfer::wait_and_hash(std::vector<std::jthread>& threads, ContentHash* hash) {
  std::size_t hashed = 0;
  Lock lock(mutex_);
  while (!is_over_) {
    start_connections(threads);
    if (hash != nullptr && hashed < done_.size() && done_[hashed]) {
      lock.unlock();
      BERTH_CHECK(hash_chunk(*hash, hashed++));
      report(false);
      lock.lock();
      continue;
    }
    if (done_count_ == done_.size()) return {};
    changed_.wait_for(lock, options_.progress_interval);
    lock.unlock();
    report(false);
    lock.lock();
  }
  return {};
}

Result<void> ChunkTransfer::hash_chunk(ContentHash& hash, std::size_t index) {
  const auto [first, last] = range_of(index);
  for (std::uint64_t at = first; at <= last;) {
    const auto piece =
        std::span(buffer_).first(std::min<std::uint64_t>(buffer_.size(), last + 1 - at));
    if (options_.stop.stop_requested()) return fail(cancelled(request_));
    BERTH_CHECK(part_.read_at(at, piece));
    hash.add(piece);
    at += piece.size();
    report(false);
  }
  return {};
}

void ChunkTransfer::report(bool is_due) {
  const SteadyTime now = real_clock().steady_now();
  if (!options_.on_progress || (!is_due && now - reported_ < options_.progress_interval)) return;
  reported_ = now;
  DownloadProgress progress{.phase = DownloadPhase::downloading, .total = request_.size};
  {
    const Lock lock(mutex_);
    if (done_count_ == done_.size()) progress.phase = DownloadPhase::verifying;
    progress.done = {present_};
    speed_.add(now, {received_});
  }
  progress.per_second = speed_.per_second();
  options_.on_progress(progress);
}

void ChunkTransfer::work() {
  auto index = claim();
  if (!index) return;
  auto client = HttpClient::open(request_.address, http_options());
  if (!client) return end_with(std::move(client).error());
  for (; index; index = claim()) {
    auto fetched = fetch(*client, *index);
    if (!fetched) return end_with(std::move(fetched).error());
  }
}

std::optional<std::size_t> ChunkTransfer::claim() {
  const Lock lock(mutex_);
  while (next_claim_ < done_.size() && done_[next_claim_]) ++next_claim_;
  if (is_over_ || next_claim_ == done_.size()) return std::nullopt;
  return next_claim_++;
}

Result<void> ChunkTransfer::fetch(HttpClient& client, std::size_t index) {
  ByteRange range = range_of(index);
  const HttpRetries& retries = options_.http.retries;
  Duration pause = retries.first_pause;
  int attempts = 0;
  while (range.first <= range.last) {
    std::vector<std::string> fields;
    if (by_range_) {
      fields.push_back(fmt::format("Range: bytes={}-{}", range.first, range.last));
      const Lock lock(mutex_);
      const std::string condition = version_ ? version_->condition() : "";
      if (!condition.empty()) fields.push_back(condition);
    }
    PartSink sink(range, request_.size.count, by_range_, hooks_);
    auto head = client.get_once(fields, sink);
    if (head && (head->status == 412 || head->status == 416)) return judge_refusal(*head, range);
    if (head) break;
    if (sink.hindrance() != Hindrance::none) {
      end_with(sink.hindrance());
      return {};
    }
    HttpFailure failure = std::move(head).error();
    if (stop_.stop_requested() || !may_go_better(failure)) return fail(std::move(failure.error));
    if (sink.next() != range.first) {
      pause = retries.first_pause;
      attempts = 0;
    }
    if (by_range_) range.first = sink.next();
    const Duration next =
        std::max(with_jitter(std::min(pause, retries.longest_pause)), failure.retry_after);
    BERTH_CHECK(check_patience(failure, next, ++attempts));
    wait_for(next, stop_.get_token());
    pause = std::min(pause * 2, retries.longest_pause);
  }
  return finish(index);
}

Result<void> ChunkTransfer::judge_refusal(const HttpHead& head, ByteRange range) {
  {
    const Lock lock(mutex_);
    if (!version_) {
      return fail(ErrorCode::conflict,
                  "{} has no byte {} of the file at {}, which should have {} (HTTP {}): it is "
                  "another file now; look at the model again",
                  head.host, range.first, request_.address.shown, request_.size.count, head.status);
    }
  }
  end_with(Hindrance::changed);
  return {};
}

Result<void> ChunkTransfer::check_patience(HttpFailure& failure, Duration pause, int attempts) {
  const Lock lock(mutex_);
  if (real_clock().steady_now() + pause < last_progress_ + options_.patience) return {};
  if (failure.retry_after >= pause) {
    failure.error.message +=
        fmt::format("; it asks to wait for {}", seconds_text(failure.retry_after));
  }
  failure.error.message += fmt::format(" (attempt {}, no new byte for up to {}; what came is kept)",
                                       attempts, seconds_text(options_.patience));
  return fail(std::move(failure.error));
}

Result<void> ChunkTransfer::finish(std::size_t index) {
  if (by_range_) BERTH_CHECK(part_.finish_chunk(index));
  space_.release(bytes_of(index));
  const Lock lock(mutex_);
  done_[index] = true;
  ++done_count_;
  changed_.notify_all();
  return {};
}

Result<Hindrance> ChunkTransfer::agree(const FileVersion& version, const HttpHead& head) {
  const Lock lock(mutex_);
  // With a digest it may come from several servers, whose tags have nothing to do with each other.
  const bool has_digest = request_.digest.kind != model::DigestKind::none;
  const bool is_known =
      !version_ || (has_digest ? version_->may_be(version) : version_->is_same(version));
  if (!is_known) return Hindrance::changed;
  if (version.size != request_.size.count) {
    return fail(ErrorCode::conflict,
                "{} has {} bytes of the file at {}, and it should have {}: it is another file now; "
                "look at the model again",
                head.host, version.size, request_.address.shown, request_.size.count);
  }
  if (!request_.etag.empty() && request_.etag != version.etag) {
    return fail(ErrorCode::conflict,
                "the file at {} has the ETag {}, and it should have {}: it is another file now; "
                "look at the model again",
                request_.address.shown, sources::quoted(version.etag),
                sources::quoted(request_.etag));
  }
  if (version_) return Hindrance::none;
  // Nothing of it is in the file yet: only one connection is at work.
  if (by_range_) BERTH_CHECK(part_.restart(version));
  version_ = version;
  changed_.notify_all();
  return Hindrance::none;
}

Result<void> ChunkTransfer::take(std::uint64_t offset, std::span<const std::byte> bytes) {
  if (options_.bandwidth) {
    wait_for(options_.bandwidth->take({bytes.size()}), stop_.get_token());
  }
  BERTH_CHECK(part_.write_at(offset, bytes));
  const Lock lock(mutex_);
  received_ += bytes.size();
  const std::uint64_t end = offset + bytes.size();
  // In one stream, what comes once more is no progress.
  if (by_range_ || end > furthest_) last_progress_ = real_clock().steady_now();
  furthest_ = std::max(furthest_, end);
  present_ = by_range_ ? present_ + bytes.size() : end;
  return {};
}

void ChunkTransfer::end_with(Error error) {
  {
    const Lock lock(mutex_);
    if (!is_over_) error_ = std::move(error);
    is_over_ = true;
  }
  stop_.request_stop();
  changed_.notify_all();
}

void ChunkTransfer::end_with(Hindrance hindrance) {
  {
    const Lock lock(mutex_);
    if (!is_over_) hindrance_ = hindrance;
    is_over_ = true;
  }
  stop_.request_stop();
  changed_.notify_all();
}

}  // namespace berth::sources
