#include "sources/range_sink.h"

#include <algorithm>
#include <charconv>

namespace berth::sources {
namespace {

constexpr std::size_t kLongestTag = 1024;

// Digits and nothing else.
std::optional<std::uint64_t> parse_number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

bool is_plain(std::string_view text) {
  return text.size() <= kLongestTag &&
         std::ranges::all_of(text, [](char c) { return c >= ' ' && c < 0x7F; });
}

}  // namespace

std::string FileVersion::condition() const {
  const bool is_strong = etag.starts_with('"') && is_plain(etag);
  if (is_strong) return "If-Range: " + etag;
  if (!modified.empty() && is_plain(modified)) return "If-Range: " + modified;
  return {};
}

bool FileVersion::is_same(const FileVersion& other) const {
  if (size != other.size) return false;
  return etag.empty() ? modified == other.modified : etag == other.etag;
}

bool FileVersion::may_be(const FileVersion& other) const {
  if (size != other.size) return false;
  if (!etag.empty() && !other.etag.empty()) return etag == other.etag;
  return modified.empty() || other.modified.empty() || modified == other.modified;
}

std::optional<ContentRange> parse_content_range(std::string_view text) {
  if (!text.starts_with("bytes ")) return std::nullopt;
  text.remove_prefix(6);
  const auto dash = text.find('-');
  const auto slash = text.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || slash < dash) {
    return std::nullopt;
  }
  const auto first = parse_number(text.substr(0, dash));
  const auto last = parse_number(text.substr(dash + 1, slash - dash - 1));
  const auto size = parse_number(text.substr(slash + 1));
  if (!first || !last || !size || *first > *last || *last >= *size) return std::nullopt;
  return ContentRange{.range = {.first = *first, .last = *last}, .size = *size};
}

std::optional<std::uint64_t> parse_unsatisfied_range(std::string_view text) {
  constexpr std::string_view kBegin = "bytes */";
  if (!text.starts_with(kBegin)) return std::nullopt;
  return parse_number(text.substr(kBegin.size()));
}

Error changed_meanwhile(std::string_view host) {
  return make_error(ErrorCode::conflict,
                    "the file at {} changed while it was being read; try again", host);
}

Result<void> check_encoding(const HttpHead& head) {
  const std::string_view encoding = head.field("content-encoding");
  if (encoding.empty() || encoding == "identity") return {};
  return fail(ErrorCode::unsupported,
              "{} sends the file with the encoding \"{}\", though it was asked for as it is",
              head.host, quoted(encoding));
}

FileVersion version_in(const HttpHead& head) {
  return {.size = 0,
          .etag = std::string(head.field("etag")),
          .modified = std::string(head.field("last-modified"))};
}

Result<ContentRange> content_range_of(const HttpHead& head) {
  const std::string_view text = head.field("content-range");
  if (const auto sent = parse_content_range(text)) return *sent;
  return fail(ErrorCode::corrupt,
              "{} sends a part of the file without saying which of how many bytes "
              "(Content-Range: \"{}\")",
              head.host, quoted(text));
}

Result<std::uint64_t> check_range(const HttpHead& head, const ContentRange& sent,
                                  ByteRange wanted) {
  const std::uint64_t last = std::min(wanted.last, sent.size - 1);
  if (sent.range.first != wanted.first || sent.range.last != last) {
    return fail(ErrorCode::corrupt, "{} was asked for the bytes {} to {} and sends {} to {}",
                head.host, wanted.first, last, sent.range.first, sent.range.last);
  }
  const std::uint64_t expected = last - wanted.first + 1;
  const std::string_view length = head.field("content-length");
  if (!length.empty() && parse_number(length) != expected) {
    return fail(ErrorCode::corrupt, "{} announces {} bytes and a Content-Length of \"{}\"",
                head.host, expected, quoted(length));
  }
  return expected;
}

std::optional<std::uint64_t> content_length_of(const HttpHead& head) {
  return parse_number(head.field("content-length"));
}

Result<void> RangeSink::begin(const HttpHead& head) {
  bytes_.clear();
  host_ = head.host;
  BERTH_CHECK(check_encoding(head));
  version_ = version_in(head);
  if (head.status == 206) return check_part(head);
  if (head.status == 200) return check_whole(head);
  return fail(ErrorCode::corrupt, "{} answers with HTTP {} to a request for a part of a file",
              host_, head.status);
}

Result<void> RangeSink::check_part(const HttpHead& head) {
  BERTH_TRY(const auto sent, content_range_of(head));
  version_.size = sent.size;
  BERTH_CHECK(check_version());
  BERTH_TRY(expected_, check_range(head, sent, wanted_));
  return {};
}

Result<void> RangeSink::check_whole(const HttpHead& head) {
  const auto length = content_length_of(head);
  version_.size = length.value_or(0);
  // A changed file is sent as a whole, that is what If-Range means.
  if (known_) BERTH_CHECK(check_version());
  if (known_ || !length || Bytes{*length} > kLargestWhole) {
    return fail(ErrorCode::unsupported,
                "{} sends the whole file (HTTP 200) where a part was asked for: it serves no "
                "ranges; download the file and give its local path",
                host_);
  }
  expected_ = *length;
  return {};
}

Result<void> RangeSink::check_version() const {
  if (!known_) return {};
  if (!known_->is_same(version_)) return fail(changed_meanwhile(host_));
  return {};
}

Result<void> RangeSink::take(std::span<const std::byte> bytes) {
  if (bytes_.empty()) bytes_.reserve(expected_);  // at most what was asked for, or kLargestWhole
  if (bytes.size() > expected_ - bytes_.size()) {
    return fail(ErrorCode::corrupt, "{} sends more than the {} bytes that it announced", host_,
                expected_);
  }
  bytes_.insert(bytes_.end(), bytes.begin(), bytes.end());
  return {};
}

}  // namespace berth::sources
