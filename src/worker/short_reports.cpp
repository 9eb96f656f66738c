#include "worker/short_reports.h"

#include <utility>

namespace berth::worker {
namespace {

std::string text_of(const std::vector<model::PackStatus>& packs) { return to_text(to_json(packs)); }

}  // namespace

void ShortReports::enlisted(const std::vector<model::PackStatus>& packs, bool keeps_packs) {
  ++enlistments_;
  known_ = keeps_packs ? std::optional(text_of(packs)) : std::nullopt;
}

ShortReports::Sent ShortReports::shorten(cluster::WorkerReport& report) const {
  Sent sent{.packs = text_of(report.packs), .enlistment = enlistments_};
  report.packs_as_before = known_ == sent.packs;
  if (report.packs_as_before) report.packs.clear();
  return sent;
}

void ShortReports::answered(Sent sent, bool taken) {
  if (!known_ || sent.enlistment != enlistments_) return;
  known_ = taken ? std::move(sent.packs) : std::string();
}

}  // namespace berth::worker
