// ChunkTransfer: fetches the chunks of a file that are missing, by several connections at once, and
// takes the digest of those that are there, in order, meanwhile. Internal to sources/download.
#pragma once

#include "sources/download/content_hash.h"
#include "sources/download/download.h"
#include "sources/download/part_file.h"
#include "sources/download/part_sink.h"
#include "sources/download/speed_meter.h"

#include <condition_variable>
#include <cstddef>
#include <mutex>
#include <optional>
#include <thread>
#include <vector>

namespace berth::sources {

struct ChunkPlan {
  bool by_range = true;     // else in one stream, as a single chunk that the journal does not know
  std::uint64_t chunk = 0;  // bytes
  PartResume there;         // what is done; its version counts where `is_resumed`
  bool is_resumed = false;
};

// One run; then look at `received` and destroy it. The references live longer.
class ChunkTransfer {
 public:
  ChunkTransfer(const DownloadRequest& request, const DownloadOptions& options, PartFile& part,
                SpaceReservation& space, ChunkPlan plan);

  // Hindrance::none: all is there, and `digest` has its digest. Another: begin anew, otherwise.
  // Blocks; no thread is left when it returns.
  Result<Hindrance> run();

  // Of the content, in hexadecimal digits; empty where the request has none.
  [[nodiscard]] const std::string& digest() const { return digest_; }
  [[nodiscard]] Bytes received() const { return {received_}; }

 private:
  using Lock = std::unique_lock<std::mutex>;

  // On the threads of the connections.
  void work();
  Result<void> fetch(HttpClient& client, std::size_t index);
  std::optional<std::size_t> claim();
  Result<void> finish(std::size_t index);
  Result<Hindrance> agree(const FileVersion& version, const HttpHead& head);
  Result<void> take(std::uint64_t offset, std::span<const std::byte> bytes);
  // An answer 412 or 416.
  Result<void> judge_refusal(const HttpHead& head, ByteRange range);
  Result<void> check_patience(HttpFailure& failure, Duration pause, int attempts);
  void end_with(Error error);
  void end_with(Hindrance hindrance);

  // On the caller's.
  void start_connections(std::vector<std::jthread>& threads);
  Result<void> wait_and_hash(std::vector<std::jthread>& threads, ContentHash* hash);
  Result<void> hash_chunk(ContentHash& hash, std::size_t index);
  void report(bool is_due);

  [[nodiscard]] ByteRange range_of(std::size_t index) const;
  [[nodiscard]] Bytes bytes_of(std::size_t index) const;
  [[nodiscard]] HttpOptions http_options() const;

  const DownloadRequest& request_;
  const DownloadOptions& options_;
  PartFile& part_;
  SpaceReservation& space_;
  const bool by_range_;
  const std::uint64_t chunk_;
  const PartSinkHooks hooks_;
  std::stop_source stop_;
  std::string digest_;
  std::vector<std::byte> buffer_;  // for the digest
  SpeedMeter speed_;
  SteadyTime reported_;

  std::mutex mutex_;  // for what follows
  std::condition_variable_any changed_;
  std::optional<FileVersion> version_;
  std::vector<bool> done_;
  std::size_t done_count_ = 0;
  std::size_t next_claim_ = 0;
  std::optional<Error> error_;
  Hindrance hindrance_ = Hindrance::none;
  bool is_over_ = false;
  std::uint64_t received_ = 0;
  std::uint64_t present_ = 0;  // bytes of the file
  std::uint64_t furthest_ = 0;
  SteadyTime last_progress_;
};

}  // namespace berth::sources
