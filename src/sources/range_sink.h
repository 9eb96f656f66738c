// RangeSink: checks the answer to a request for a part of a file, and keeps its bytes. Internal to
// sources.
#pragma once

#include "sources/curl.h"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth::sources {

// Bytes `first` to `last`, both included.
struct ByteRange {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
};

// What tells one state of a file from another.
struct FileVersion {
  std::uint64_t size = 0;
  std::string etag;      // as it is sent, with quotes; empty where not said
  std::string modified;  // an HTTP date; empty where not said

  // The field that makes a server send a part of this version only ("If-Range: …"); empty where
  // the version has nothing that is good for it, such as a weak ETag alone.
  [[nodiscard]] std::string condition() const;
  // Whether `other` is the same state, as far as it can be told: by the ETag, else by the date.
  [[nodiscard]] bool is_same(const FileVersion& other) const;
  // Whether nothing that both say differs: enough where a digest tells in the end.
  [[nodiscard]] bool may_be(const FileVersion& other) const;
};

// "bytes 0-99/1000" taken apart.
struct ContentRange {
  ByteRange range;
  std::uint64_t size = 0;
};
// Nothing where `text` is no such range of a known size.
std::optional<ContentRange> parse_content_range(std::string_view text);
// The size in "bytes */1000", which goes with status 416.
std::optional<std::uint64_t> parse_unsatisfied_range(std::string_view text);

// What heads say, or the corrupt (unsupported for an encoding) that they are.
Result<void> check_encoding(const HttpHead& head);
// The ETag and the date; the size is left at 0.
FileVersion version_in(const HttpHead& head);
// The Content-Range of an answer 206.
Result<ContentRange> content_range_of(const HttpHead& head);
// Whether `sent`, and the Content-Length beside it, is what was asked for, cut to the file. Gives
// the number of bytes that follow.
Result<std::uint64_t> check_range(const HttpHead& head, const ContentRange& sent, ByteRange wanted);
// Nothing where it is not said, or no number.
std::optional<std::uint64_t> content_length_of(const HttpHead& head);

// Files of up to this size may come as a whole, from servers that know no ranges.
inline constexpr Bytes kLargestWhole = 1_MiB;

// Takes the answer to `Range: bytes=first-last`. A file of a `known` version must still be that
// one.
class RangeSink final : public HttpSink {
 public:
  RangeSink(ByteRange wanted, std::optional<FileVersion> known)
      : wanted_(wanted), known_(std::move(known)) {}

  Result<void> begin(const HttpHead& head) override;
  Result<void> take(std::span<const std::byte> bytes) override;
  [[nodiscard]] bool is_complete() const override { return bytes_.size() == expected_; }

  // Of a complete answer.
  [[nodiscard]] const FileVersion& version() const { return version_; }
  std::vector<std::byte> take_bytes() { return std::move(bytes_); }

 private:
  Result<void> check_part(const HttpHead& head);
  Result<void> check_whole(const HttpHead& head);
  Result<void> check_version() const;

  ByteRange wanted_;
  std::optional<FileVersion> known_;
  std::string host_;  // that answers
  FileVersion version_;
  std::uint64_t expected_ = 1;  // nothing came: not complete
  std::vector<std::byte> bytes_;
};

// That a file is no longer what it was when it was opened.
Error changed_meanwhile(std::string_view host);

}  // namespace berth::sources
