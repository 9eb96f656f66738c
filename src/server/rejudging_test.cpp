// Rejudging, with a worker that answers as a real one.
#include "net/testing.h"
#include "server/rejudge.h"
#include "server/test_context.h"
#include "store/typed.h"

#include <condition_variable>
#include <mutex>
#include <optional>
#include <stop_token>
#include <thread>

#include <gtest/gtest.h>

namespace berth::server {
namespace {

// What the worker was asked, and what it answers.
struct Judge {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<cluster::JudgeRequest> asked;
  model::ComputeTable table{.build = "b7",
                            .figures = {{.role = model::ComputeRole::cpu_alone, .size = 5_MiB}}};
  bool is_broken = false;
  bool is_silent = false;

  std::size_t questions() {
    const std::scoped_lock lock(mutex);
    return asked.size();
  }
  void await_question() {
    std::unique_lock lock(mutex);
    changed.wait(lock, [this] { return !asked.empty(); });
  }
};

net::Task<> answer_judge(net::Exchange& exchange, Judge* judge) {
  const auto body = co_await exchange.read_body(1_MiB);
  const auto request = from_json<cluster::JudgeRequest>(parse_json(body.value_or("")).value(),
                                                        UnknownMembers::refuse);
  {
    const std::scoped_lock lock(judge->mutex);
    judge->asked.push_back(request.value());
  }
  judge->changed.notify_all();
  if (judge->is_silent) co_await net::sleep_for(std::chrono::hours(1));
  co_await exchange.respond(judge->is_broken ? net::error_response(make_error(
                                                   ErrorCode::unavailable, "the judge is not well"))
                                             : net::json_response(200, to_json(judge->table)));
}

model::PackStatus pack(std::string build) {
  model::PackStatus status{.state = model::PackState::installed};
  status.pack = {.name = "built", .backend = "llama-box", .build = std::move(build)};
  status.pack.judge = {"{pack}/bin/judge"};
  return status;
}

class RejudgingTest : public ::testing::Test {
 protected:
  RejudgingTest() {
    net::Router router;
    router.add("POST", "/worker/v1/judge",
               [this](net::Exchange& exchange) { return answer_judge(exchange, &judge_); });
    server_.emplace(std::move(router));
    worker_ = {.name = "w",
               .state = model::WorkerState::ready,
               .local = true,
               .address = net::to_string(server_->endpoint())};
    EXPECT_TRUE(store::put_new(context_->store, model::kWorkerKind, "w", worker_));
    deploy("m");
    install("b7");
    // One that a test steers.
    ServerContext& real = *context_;
    context_with_clock_.emplace(ServerContext{.store = real.store,
                                              .pool = real.pool,
                                              .files_pool = real.files_pool,
                                              .access = real.access,
                                              .workers = real.workers,
                                              .control = real.control,
                                              .watches = real.watches,
                                              .backends = real.backends,
                                              .clock = clock_,
                                              .data = real.data,
                                              .version = real.version,
                                              .started = clock_.steady_now(),
                                              .members = real.members,
                                              .door = real.door,
                                              .caller = real.caller,
                                              .ending = ending_.get_token()});
    rejudging_.emplace(*context_with_clock_);
  }

  void deploy(const std::string& name) {
    model::Model model{.deployment = {.name = name, .source = "/m/a.gguf", .replicas = 0},
                       .backend = "llama-box",
                       .read_by = "w",
                       .created_at = "today"};
    model.profile.files = {{.path = "/m/a.gguf", .size = 1_MiB}};
    EXPECT_TRUE(store::put_new(context_->store, model::kModelKind, name, model));
  }
  void install(const std::string& build) {
    view_ = {};
    view_.add({.name = "w", .packs = {pack(build)}});
  }
  void change(const std::function<void(model::Model&)>& how) {
    EXPECT_TRUE(store::update<model::Model>(context_->store, model::kModelKind, "m",
                                            [&](model::Model& model) { how(model); }));
  }
  void look() {
    rejudging_->look(models(), view_);
    rejudging_->wait();
  }
  std::vector<store::Stored<model::Model>> models() {
    return store::list_as<model::Model>(context_->store, model::kModelKind).value().items;
  }
  store::Stored<model::Model> stored(const std::string& name = "m") {
    return store::get_as<model::Model>(context_->store, model::kModelKind, name).value();
  }

  Judge judge_;
  std::stop_source ending_;
  ManualClock clock_;
  testing::TestContext context_;
  std::optional<net::testing::RunningServer> server_;
  model::Worker worker_;
  model::ClusterView view_;
  std::optional<ServerContext> context_with_clock_;
  std::optional<Rejudging> rejudging_;
};

TEST_F(RejudgingTest, WritesWhatWasMeasuredAndNothingElse) {
  const auto before = stored().value;
  look();
  const auto after = stored().value;
  EXPECT_EQ(after.compute.build, "b7");
  ASSERT_EQ(after.compute.figures.size(), 1U);
  EXPECT_EQ(after.compute.figures[0].size, 5_MiB);
  auto expected = before;
  expected.compute = after.compute;
  EXPECT_EQ(to_json(after, Secrets::show), to_json(expected, Secrets::show));
  ASSERT_EQ(judge_.questions(), 1U);
  EXPECT_EQ(judge_.asked[0].deployment.source, "/m/a.gguf");
  EXPECT_EQ(judge_.asked[0].profile.files.size(), 1U);
  EXPECT_FALSE(judge_.asked[0].devices);
  look();
  EXPECT_EQ(judge_.questions(), 1U);
}

TEST_F(RejudgingTest, AsksForDevicesOnceOneIsThere) {
  look();
  view_.add({.name = "gpu", .devices = {{.device = {.kind = model::DeviceKind::cuda}}}});
  look();
  ASSERT_EQ(judge_.questions(), 2U);
  EXPECT_TRUE(judge_.asked[1].devices);
  // This one stays on the CPU whatever there is, such as by --n-gpu-layers 0.
  clock_.advance(std::chrono::hours(24));
  look();
  EXPECT_EQ(judge_.questions(), 2U) << "it was answered";
}

TEST_F(RejudgingTest, TriesAgainAfterAWhile) {
  judge_.is_broken = true;
  look();
  look();
  EXPECT_EQ(judge_.questions(), 1U);
  EXPECT_EQ(stored().value.compute.build, "");
  clock_.advance(std::chrono::minutes(5));
  look();
  clock_.advance(std::chrono::minutes(5));
  look();
  EXPECT_EQ(judge_.questions(), 2U) << "the pause grows";
  judge_.is_broken = false;
  clock_.advance(std::chrono::minutes(5));
  look();
  EXPECT_EQ(judge_.questions(), 3U);
  EXPECT_EQ(stored().value.compute.build, "b7");
}

TEST_F(RejudgingTest, TriesAtOnceWhatHasChanged) {
  judge_.table = {};
  look();
  install("b8");
  look();
  EXPECT_EQ(judge_.questions(), 2U) << "another build";
  change([](model::Model& model) { ++model.generation; });
  look();
  EXPECT_EQ(judge_.questions(), 3U) << "another generation";
  change([](model::Model& model) { model.created_at = "tomorrow"; });
  look();
  EXPECT_EQ(judge_.questions(), 4U) << "another model of that name";
}

TEST_F(RejudgingTest, LeavesAModelThatWasEditedMeanwhile) {
  const auto seen = models();
  change([](model::Model& model) { ++model.generation; });
  rejudging_->look(seen, view_);
  rejudging_->wait();
  EXPECT_EQ(judge_.questions(), 1U);
  EXPECT_EQ(stored().value.compute.build, "");
}

TEST_F(RejudgingTest, TakesOneAtATimeAndNoneTwiceBeforeTheOthers) {
  deploy("n");
  judge_.is_broken = true;
  look();
  EXPECT_EQ(judge_.questions(), 1U);
  clock_.advance(std::chrono::hours(2));
  look();
  ASSERT_EQ(judge_.questions(), 2U);
  EXPECT_EQ(judge_.asked[0].deployment.name, "m");
  EXPECT_EQ(judge_.asked[1].deployment.name, "n");
}

TEST_F(RejudgingTest, IsGivenUpWhenTheServerEnds) {
  judge_.is_silent = true;
  rejudging_->look(models(), view_);
  judge_.await_question();
  rejudging_->look(models(), view_);  // is not held up by the one under way
  ending_.request_stop();
  rejudging_->wait();
  clock_.advance(std::chrono::hours(2));
  look();
  EXPECT_EQ(judge_.questions(), 1U) << "nothing is begun at the end";
  EXPECT_EQ(stored().value.compute.build, "");
}

TEST_F(RejudgingTest, AQuestionToAWorkerEndsWithTheStop) {
  judge_.is_silent = true;
  std::stop_source stop;
  const std::jthread ends([&] {
    judge_.await_question();
    stop.request_stop();
  });
  const cluster::JudgeRequest request{.deployment = {.name = "m", .source = "/m/a.gguf"}};
  const auto answer =
      context_->caller.ask(worker_, "/worker/v1/judge", to_json(request), stop.get_token());
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::cancelled);
  const auto late =
      context_->caller.ask(worker_, "/worker/v1/judge", to_json(request), stop.get_token());
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::cancelled);
}

TEST_F(RejudgingTest, BelongsToEachPassOfTheControlLoop) {
  judge_when_possible(*context_);
  // Workers whose packs come after they joined.
  context_->workers.accept({.worker = "w", .sequence = 1, .packs = {pack("b7")}});
  ASSERT_TRUE(context_->control.run_once());
  judge_.await_question();
  EXPECT_EQ(judge_.asked[0].deployment.name, "m");
}

}  // namespace
}  // namespace berth::server
