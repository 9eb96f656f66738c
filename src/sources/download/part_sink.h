// PartSink: checks the answer to a request for bytes of a file that is being downloaded, and passes
// them on as they come. Internal to sources/download.
#pragma once

#include "sources/curl.h"
#include "sources/range_sink.h"

#include <functional>

namespace berth::sources {

// What keeps a download from going on as it was begun.
enum class Hindrance {
  none,
  changed,    // the file is another one now
  no_ranges,  // the server sends the whole where a part was asked for
};

struct PartSinkHooks {
  // Whether a file of this version is what is being downloaded: the error, and for a changed one
  // Hindrance::changed.
  std::function<Result<Hindrance>(const FileVersion&, const HttpHead&)> agree;
  std::function<Result<void>(std::uint64_t offset, std::span<const std::byte>)> take;
};

class PartSink final : public HttpSink {
 public:
  // The bytes `wanted` of a file of `size` bytes; by a range, or as a whole.
  PartSink(ByteRange wanted, std::uint64_t size, bool by_range, const PartSinkHooks& hooks)
      : wanted_(wanted), next_(wanted.first), size_(size), by_range_(by_range), hooks_(hooks) {}

  Result<void> begin(const HttpHead& head) override;
  Result<void> take(std::span<const std::byte> bytes) override;
  [[nodiscard]] bool is_complete() const override { return begun_ && next_ == wanted_.last + 1; }

  // The first byte that is still to come.
  [[nodiscard]] std::uint64_t next() const { return next_; }
  // Why `begin` failed, if that is not simply an error.
  [[nodiscard]] Hindrance hindrance() const { return hindrance_; }

 private:
  Result<void> agree(const FileVersion& version, const HttpHead& head);

  ByteRange wanted_;
  std::uint64_t next_;
  std::uint64_t size_;
  bool by_range_;
  const PartSinkHooks& hooks_;
  bool begun_ = false;
  std::string host_;
  Hindrance hindrance_ = Hindrance::none;
};

}  // namespace berth::sources
