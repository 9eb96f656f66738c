#include "server/judges.h"

#include "net/testing.h"
#include "server/test_context.h"
#include "store/typed.h"

#include <gtest/gtest.h>

namespace berth::server {
namespace {

model::Worker worker(std::string name, bool local, bool judges = true,
                     model::PackState state = model::PackState::installed) {
  model::Worker one{.name = std::move(name), .state = model::WorkerState::ready, .local = local};
  model::PackStatus status;
  status.pack = {.name = "built", .backend = "llama-box", .program = {"{pack}/bin/server"}};
  if (judges) status.pack.judge = {"{pack}/bin/judge"};
  status.state = state;
  one.packs = {status};
  return one;
}

std::string judge_of(const std::vector<model::Worker>& workers,
                     std::string_view backend = "llama-box") {
  const auto found = worker_that_judges(workers, backend);
  return found ? found->name : "nobody";
}

TEST(WorkerThatJudges, IsTheLocalOneOrTheFirstByName) {
  EXPECT_EQ(judge_of({worker("b", false), worker("a", false), worker("z", true)}), "z");
  EXPECT_EQ(judge_of({worker("b", false), worker("a", false)}), "a");
}

TEST(WorkerThatJudges, HasAPackWithAJudgeForTheBackendAndIsReady) {
  EXPECT_EQ(judge_of({}), "nobody");
  EXPECT_EQ(judge_of({worker("a", true, false), worker("b", false)}), "b");
  EXPECT_EQ(judge_of({worker("a", true)}, "vllm"), "nobody");
  EXPECT_EQ(judge_of({worker("a", true, true, model::PackState::available)}), "nobody");
  auto lost = worker("a", true);
  lost.state = model::WorkerState::lost;
  EXPECT_EQ(judge_of({lost, worker("b", false)}), "b");
}

// Answers as a worker would, and keeps what it was asked.
net::Task<> answer_judge(net::Exchange& exchange, std::string* asked) {
  auto body = co_await exchange.read_body(1_MiB);
  *asked = body ? *body : body.error().to_string();
  co_await exchange.respond(net::json_response(200, to_json(model::ComputeTable{.build = "b7"})));
}

class JudgeFound : public ::testing::Test {
 protected:
  JudgeFound() {
    auto joined = worker("w", true, false);  // its pack comes later
    joined.address = net::to_string(server_.endpoint());
    EXPECT_TRUE(store::put_new(context_->store, model::kWorkerKind, "w", joined));
  }
  void install_pack() {
    context_->workers.accept({.worker = "w", .sequence = 1, .packs = worker("w", true).packs});
  }
  net::Router router() {
    net::Router router;
    router.add("POST", "/worker/v1/judge",
               [this](net::Exchange& exchange) { return answer_judge(exchange, &asked_); });
    return router;
  }

  std::string asked_;
  testing::TestContext context_;
  net::testing::RunningServer server_{router()};
  FoundModel on_hub_{.profile = {},
                     .worker = std::nullopt,
                     .files = model::RepositoryFiles{.source = "hf:o/m", .repository = "o/m"}};
};

TEST_F(JudgeFound, OnAHubIsJudgedByAnyWorkerThatCan) {
  const cluster::JudgeRequest request{.deployment = {.name = "m", .source = "hf:o/m"},
                                      .backend = "llama-box"};
  EXPECT_EQ(judge_found(*context_, on_hub_, request).build, "") << "no pack can measure yet";
  EXPECT_EQ(asked_, "");
  install_pack();
  EXPECT_EQ(judge_found(*context_, on_hub_, request).build, "b7");
  const auto asked =
      from_json<cluster::JudgeRequest>(parse_json(asked_).value(), UnknownMembers::refuse);
  ASSERT_TRUE(asked && asked->files) << asked_;
  EXPECT_EQ(asked->files->repository, "o/m");
}

TEST_F(JudgeFound, HereIsJudgedByTheWorkerThatReadItAlone) {
  install_pack();
  const cluster::JudgeRequest request{.deployment = {.name = "m", .source = "/m/a.gguf"},
                                      .backend = "llama-box"};
  EXPECT_EQ(judge_found(*context_, {.profile = {}, .worker = std::nullopt}, request).build, "");
  EXPECT_EQ(asked_, "");
}

}  // namespace
}  // namespace berth::server
