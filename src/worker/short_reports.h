// ShortReports: leaves a worker's packs out of its reports while the server has them already; they
// are four fifths of a report's text.
#pragma once

#include "cluster/protocol.h"

#include <cstdint>
#include <optional>
#include <string>

namespace berth::worker {

// A value, used in one place at a time.
class ShortReports {
 public:
  // The server has taken a registration with these packs; `keeps_packs` as it answered.
  void enlisted(const std::vector<model::PackStatus>& packs, bool keeps_packs);

  // What is to be told when the answer to a report has come.
  struct Sent {
    std::string packs;  // as JSON text
    std::uint64_t enlistment = 0;
  };
  // Takes the packs out where that server knows them.
  Sent shorten(cluster::WorkerReport& report) const;
  // Of a report that failed nobody knows whether it was taken: the next one has everything.
  void answered(Sent sent, bool taken);

 private:
  std::uint64_t enlistments_ = 0;
  // What the server knows; empty: nothing for certain. Absent where it wants everything each time.
  std::optional<std::string> known_;
};

}  // namespace berth::worker
