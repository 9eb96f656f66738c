#include "sources/download/part_sink.h"

namespace berth::sources {

Result<void> PartSink::begin(const HttpHead& head) {
  begun_ = true;
  next_ = wanted_.first;
  host_ = head.host;
  BERTH_CHECK(check_encoding(head));
  FileVersion version = version_in(head);
  if (head.status == 206 && by_range_) {
    BERTH_TRY(const auto sent, content_range_of(head));
    version.size = sent.size;
    BERTH_CHECK(agree(version, head));
    BERTH_CHECK(check_range(head, sent, wanted_));
    return {};
  }
  if (head.status != 200) {
    return fail(ErrorCode::corrupt, "{} answers with HTTP {} to a request for {}", host_,
                head.status, by_range_ ? "a part of a file" : "a file");
  }
  // A server that does not tell the length is believed until the bytes are counted.
  version.size = content_length_of(head).value_or(size_);
  BERTH_CHECK(agree(version, head));
  if (!by_range_) return {};
  hindrance_ = Hindrance::no_ranges;
  return fail(ErrorCode::unsupported, "{} sends the whole file where a part was asked for", host_);
}

Result<void> PartSink::agree(const FileVersion& version, const HttpHead& head) {
  BERTH_TRY(hindrance_, hooks_.agree(version, head));
  if (hindrance_ == Hindrance::none) return {};
  return fail(changed_meanwhile(host_));
}

Result<void> PartSink::take(std::span<const std::byte> bytes) {
  if (bytes.size() > wanted_.last + 1 - next_) {
    return fail(ErrorCode::corrupt, "{} sends more than the {} bytes that were asked for", host_,
                wanted_.last + 1 - wanted_.first);
  }
  BERTH_CHECK(hooks_.take(next_, bytes));
  next_ += bytes.size();
  return {};
}

}  // namespace berth::sources
