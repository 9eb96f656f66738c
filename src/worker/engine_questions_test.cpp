#include "worker/engine_questions.h"

#include <gtest/gtest.h>

namespace berth::worker {
namespace {

constexpr std::string_view kFigures =
    "# HELP llamacpp:requests_processing Number of requests processing.\n"
    "# TYPE llamacpp:requests_processing gauge\n"
    "llamacpp:requests_processing 2\n"
    "llamacpp:requests_processing_ever 70\n"
    "llamacpp:requests_deferred 5\n";

TEST(SumOfFigures, AddsThoseThatAreAskedFor) {
  EXPECT_EQ(sum_of_figures(kFigures, {"llamacpp:requests_processing"}), 2);
  EXPECT_EQ(
      sum_of_figures(kFigures, {"llamacpp:requests_processing", "llamacpp:requests_deferred"}), 7);
}

TEST(SumOfFigures, IsNothingWhereOneIsMissing) {
  EXPECT_EQ(sum_of_figures(kFigures, {"llamacpp:requests_processing", "other"}), std::nullopt);
  EXPECT_EQ(sum_of_figures("", {"llamacpp:requests_processing"}), std::nullopt);
  EXPECT_EQ(sum_of_figures("llamacpp:requests_processing many\n", {"llamacpp:requests_processing"}),
            std::nullopt);
}

}  // namespace
}  // namespace berth::worker
