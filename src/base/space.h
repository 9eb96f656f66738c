// SpaceLedger: what the work of this process has yet to write to each file system, so that two
// downloads or installations do not both count on the same free space.
#pragma once

#include "base/bytes.h"
#include "base/result.h"

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <sys/types.h>
#include <utility>

namespace berth {

// So much of each file system stays free.
inline constexpr unsigned kSpaceFloorPercent = 5;

// The capacity and the free space where `folder` is; zeros where it can not be told.
using SpaceProbe = std::function<std::filesystem::space_info(const std::filesystem::path& folder)>;
std::filesystem::space_info probe_space(const std::filesystem::path& folder);

namespace detail {
struct SpaceBook {
  std::mutex mutex;
  std::map<dev_t, Bytes> reserved;
};
}  // namespace detail

// Given back when it is destroyed. Move-only; may outlive the ledger. Thread-safe but for moves.
class SpaceReservation {
 public:
  SpaceReservation(SpaceReservation&& other) noexcept
      : book_(std::move(other.book_)),
        device_(other.device_),
        left_(std::exchange(other.left_, Bytes{})) {}
  SpaceReservation& operator=(SpaceReservation&&) = delete;
  SpaceReservation(const SpaceReservation&) = delete;
  SpaceReservation& operator=(const SpaceReservation&) = delete;
  ~SpaceReservation();

  // So much has been written: the file system itself counts it from now on.
  void release(Bytes written);

 private:
  friend class SpaceLedger;
  SpaceReservation(std::shared_ptr<detail::SpaceBook> book, dev_t device, Bytes bytes)
      : book_(std::move(book)), device_(device), left_(bytes) {}

  std::shared_ptr<detail::SpaceBook> book_;
  dev_t device_;
  Bytes left_;  // under the book's mutex
};

// Thread-safe.
class SpaceLedger {
 public:
  explicit SpaceLedger(SpaceProbe probe = probe_space) : probe_(std::move(probe)) {}

  // Sets `need` aside on the file system of `folder`, for `what` ("a.gguf"). Fails with unavailable
  // where less than the floor would stay free, naming what is missing; with io where there is no
  // such folder. Nothing needed is always there.
  Result<SpaceReservation> reserve(const std::filesystem::path& folder, Bytes need,
                                   std::string_view what);

 private:
  SpaceProbe probe_;
  std::shared_ptr<detail::SpaceBook> book_ = std::make_shared<detail::SpaceBook>();
};

// The one of this process.
SpaceLedger& process_space();

}  // namespace berth
