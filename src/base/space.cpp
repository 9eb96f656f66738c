#include "base/space.h"

#include <algorithm>
#include <cerrno>
#include <sys/stat.h>

namespace berth {

namespace fs = std::filesystem;

fs::space_info probe_space(const fs::path& folder) {
  std::error_code error;
  const auto space = fs::space(folder, error);
  return error ? fs::space_info{} : space;
}

SpaceReservation::~SpaceReservation() {
  if (book_) release(left_);
}

void SpaceReservation::release(Bytes written) {
  const std::lock_guard lock(book_->mutex);
  const Bytes part = std::min(written, left_);
  left_ -= part;
  const auto entry = book_->reserved.find(device_);
  entry->second -= part;
}

Result<SpaceReservation> SpaceLedger::reserve(const fs::path& folder, Bytes need,
                                              std::string_view what) {
  struct stat status{};
  if (::stat(folder.c_str(), &status) != 0) {
    return fail_errno(errno, "looking at the folder {}", folder.string());
  }
  const auto space = probe_(folder);
  const Bytes kept{space.capacity / 100 * kSpaceFloorPercent};
  const Bytes available{space.available};
  const std::lock_guard lock(book_->mutex);
  Bytes& reserved = book_->reserved[status.st_dev];
  const Bytes wanted = kept + reserved + need;
  if (need.count != 0 && available < wanted) {
    return fail(ErrorCode::unavailable,
                "{} needs {} of disk, and {} of {} are free where {} is, of which {} ({} %) stay "
                "free and {} are promised to others; {} are missing: make room and try "
                "again",
                what, need, available, Bytes{space.capacity}, folder.string(), kept,
                kSpaceFloorPercent, reserved, wanted - available);
  }
  reserved += need;
  return SpaceReservation(book_, status.st_dev, need);
}

SpaceLedger& process_space() {
  static SpaceLedger ledger;
  return ledger;
}

}  // namespace berth
