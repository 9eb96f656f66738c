#include "sources/range_reader.h"

#include "sources/range_sink.h"

#include <algorithm>
#include <cstring>
#include <list>
#include <optional>
#include <vector>

namespace berth::sources {
namespace {

constexpr std::size_t kBlocksKept = 4;

struct Block {
  std::uint64_t begin = 0;
  std::vector<std::byte> bytes;

  [[nodiscard]] std::uint64_t end() const { return begin + bytes.size(); }
  [[nodiscard]] bool has(std::uint64_t offset) const { return begin <= offset && offset < end(); }
};

class RangeSource final : public formats::ByteSource {
 public:
  RangeSource(HttpClient client, Bytes first_block, Bytes largest_block)
      : client_(std::move(client)),
        first_block_(std::max<std::uint64_t>(first_block.count, 1)),
        largest_block_(std::max(largest_block.count, first_block_)),
        next_block_(first_block_) {}

  // Learns size and version from the first block.
  Result<void> begin();

  [[nodiscard]] std::uint64_t size() const override { return version_ ? version_->size : 0; }
  Result<std::span<const std::byte>> read(std::uint64_t offset, std::uint64_t length) override;

 private:
  Result<const Block*> block_at(std::uint64_t offset);
  Result<void> fetch(std::uint64_t offset);
  [[nodiscard]] std::uint64_t end_of_fetch(std::uint64_t offset);
  Result<void> judge_unsatisfied(const HttpHead& head);

  HttpClient client_;
  std::uint64_t first_block_;
  std::uint64_t largest_block_;
  std::uint64_t next_block_;
  std::uint64_t fetched_to_ = 0;  // the end of the last fetch
  std::optional<FileVersion> version_;
  std::list<Block> blocks_;           // the one used last in front
  std::vector<std::byte> assembled_;  // a read that is longer than a block, or across two
};

Result<void> RangeSource::begin() { return fetch(0); }

Result<std::span<const std::byte>> RangeSource::read(std::uint64_t offset, std::uint64_t length) {
  if (offset > size() || length > size() - offset) {
    return fail(ErrorCode::corrupt, "{} bytes are wanted at byte {} but the file has {}", length,
                offset, size());
  }
  if (length == 0) return std::span<const std::byte>();
  BERTH_TRY(const Block* block, block_at(offset));
  if (length <= block->end() - offset) {
    return std::span(block->bytes).subspan(offset - block->begin, length);
  }
  const Bytes limit = client_.options().traffic_limit;
  if (Bytes{length} > limit) {
    return fail(ErrorCode::too_large, "reading {} at once is more than the {} of traffic allowed",
                Bytes{length}, limit);
  }
  assembled_.resize(length);
  for (std::uint64_t done = 0; done < length;) {
    BERTH_TRY(block, block_at(offset + done));
    const std::uint64_t start = offset + done - block->begin;
    const std::uint64_t count = std::min(length - done, block->bytes.size() - start);
    std::memcpy(assembled_.data() + done, block->bytes.data() + start, count);
    done += count;
  }
  return std::span<const std::byte>(assembled_);
}

Result<const Block*> RangeSource::block_at(std::uint64_t offset) {
  auto block = std::ranges::find_if(blocks_, [&](const Block& b) { return b.has(offset); });
  if (block == blocks_.end()) {
    BERTH_CHECK(fetch(offset));
    block = blocks_.begin();
  }
  blocks_.splice(blocks_.begin(), blocks_, block);
  return &blocks_.front();
}

// Where a fetch from `offset` ends: after a block, or where the next one that is here begins.
std::uint64_t RangeSource::end_of_fetch(std::uint64_t offset) {
  const bool is_in_order = offset >= fetched_to_ && offset - fetched_to_ <= first_block_;
  next_block_ =
      is_in_order && fetched_to_ > 0 ? std::min(next_block_ * 2, largest_block_) : first_block_;
  std::uint64_t end = offset + next_block_;
  if (version_) end = std::min(end, version_->size);
  for (const Block& block : blocks_) {
    if (block.begin > offset) end = std::min(end, block.begin);
  }
  return end;
}

Result<void> RangeSource::fetch(std::uint64_t offset) {
  const std::uint64_t end = end_of_fetch(offset);
  const Bytes limit = client_.options().traffic_limit;
  if (client_.traffic() + Bytes{end - offset} > limit) {
    return fail(ErrorCode::too_large, "reading it takes more than the {} of traffic allowed",
                limit);
  }
  std::vector<std::string> fields{fmt::format("Range: bytes={}-{}", offset, end - 1)};
  const std::string condition = version_ ? version_->condition() : "";
  if (!condition.empty()) fields.push_back(condition);
  RangeSink sink({.first = offset, .last = end - 1}, version_);
  BERTH_TRY(const auto head, client_.get(fields, sink));
  if (head.status == 412) return fail(changed_meanwhile(head.host));
  if (head.status == 416) return judge_unsatisfied(head);
  if (!version_) version_ = sink.version();
  if (blocks_.size() == kBlocksKept) blocks_.pop_back();
  blocks_.push_front({.begin = offset, .bytes = sink.take_bytes()});
  fetched_to_ = blocks_.front().end();
  return {};
}

// Only an empty file has no first byte.
Result<void> RangeSource::judge_unsatisfied(const HttpHead& head) {
  if (version_) return fail(changed_meanwhile(head.host));
  if (parse_unsatisfied_range(head.field("content-range")) == 0) {
    version_ = FileVersion{};
    return {};
  }
  return fail(ErrorCode::corrupt, "{} has no byte 0 of the file (HTTP 416, Content-Range: \"{}\")",
              head.host, quoted(head.field("content-range")));
}

}  // namespace

Result<std::unique_ptr<formats::ByteSource>> open_url(const Address& address,
                                                      const RangeOptions& options) {
  BERTH_TRY(auto client, HttpClient::open(address, options.http));
  auto source =
      std::make_unique<RangeSource>(std::move(client), options.first_block, options.largest_block);
  if (auto begun = source->begin(); !begun) {
    Error error = std::move(begun).error();
    error.message = fmt::format("{}: {}", address.shown, error.message);
    return fail(std::move(error));
  }
  return source;
}

Result<std::unique_ptr<formats::ByteSource>> open_url(std::string_view url,
                                                      const RangeOptions& options) {
  BERTH_TRY(const auto address, parse_address(url));
  return open_url(address, options);
}

}  // namespace berth::sources
