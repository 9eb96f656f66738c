#include "worker/short_reports.h"

#include <gtest/gtest.h>

namespace berth::worker {
namespace {

std::vector<model::PackStatus> packs(model::PackState state = model::PackState::available) {
  return {{.pack = {.name = "llama-server"}, .state = state}};
}

cluster::WorkerReport report(std::vector<model::PackStatus> of) {
  return {.worker = "w", .packs = std::move(of)};
}

// Sends a report of these packs; whether they were left out.
bool is_short(ShortReports& reports, std::vector<model::PackStatus> of, bool taken = true) {
  auto sent = report(std::move(of));
  auto note = reports.shorten(sent);
  EXPECT_EQ(sent.packs.empty(), sent.packs_as_before);
  reports.answered(std::move(note), taken);
  return sent.packs_as_before;
}

TEST(ShortReports, LeaveOutWhatTheRegistrationTold) {
  ShortReports reports;
  reports.enlisted(packs(), true);
  EXPECT_TRUE(is_short(reports, packs()));
  EXPECT_TRUE(is_short(reports, packs()));
}

TEST(ShortReports, TellPacksThatChangedOnce) {
  ShortReports reports;
  reports.enlisted(packs(), true);
  EXPECT_FALSE(is_short(reports, packs(model::PackState::installed)));
  EXPECT_TRUE(is_short(reports, packs(model::PackState::installed)));
}

TEST(ShortReports, TellEverythingToAServerOfAnOlderVersion) {
  ShortReports reports;
  reports.enlisted(packs(), false);
  EXPECT_FALSE(is_short(reports, packs()));
  EXPECT_FALSE(is_short(reports, packs()));
}

TEST(ShortReports, TellEverythingAgainAfterAReportThatFailed) {
  ShortReports reports;
  reports.enlisted(packs(), true);
  EXPECT_TRUE(is_short(reports, packs(), false));
  EXPECT_FALSE(is_short(reports, packs()));
  EXPECT_TRUE(is_short(reports, packs()));
}

TEST(ShortReports, ForgetAnAnswerThatCameAfterTheNextRegistration) {
  ShortReports reports;
  reports.enlisted(packs(), true);
  auto late = report(packs(model::PackState::installed));
  auto note = reports.shorten(late);
  reports.enlisted(packs(), true);
  reports.answered(std::move(note), true);
  EXPECT_FALSE(is_short(reports, packs(model::PackState::installed)));
}

TEST(ShortReports, AreWholeBeforeAnyRegistration) {
  ShortReports reports;
  EXPECT_FALSE(is_short(reports, packs()));
}

}  // namespace
}  // namespace berth::worker
