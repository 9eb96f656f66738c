#include "server/model_files.h"

#include "net/testing.h"
#include "server/test_context.h"
#include "sources/local_model.h"
#include "store/typed.h"

#include <cstdlib>

#include <gtest/gtest.h>

namespace berth::server {
namespace {

using net::testing::RunningServer;

net::Task<> answer_profile(net::Exchange& exchange, std::string name) {
  const auto& request = exchange.request();
  if (request.query.get("path") == "/m/on " + name + ".gguf") {
    const sources::LocalModel found{.path = "/m/found.gguf", .profile = {.name = name}};
    co_await exchange.respond(net::json_response(200, to_json(found)));
    co_return;
  }
  const bool is_broken = request.query.get("path") == "/m/broken.gguf" && name == "b";
  const auto error = is_broken ? make_error(ErrorCode::corrupt, "it breaks off")
                               : make_error(ErrorCode::not_found, "it is not there");
  co_await exchange.respond(net::error_response(error));
}

net::Router worker_router(const std::string& name) {
  net::Router router;
  router.add("GET", "/worker/v1/profile",
             [name](net::Exchange& exchange) { return answer_profile(exchange, name); });
  return router;
}

net::Task<> ask_who_it_is(net::Exchange& exchange) {
  co_await exchange.respond(net::text_response(401, "who are you?"));
}

class ModelFiles : public ::testing::Test {
 protected:
  void join(const std::string& name, const net::Endpoint& address,
            model::WorkerState state = model::WorkerState::ready, bool local = false) {
    const model::Worker worker{.name = name,
                               .state = state,
                               .reason = "silent",
                               .local = local,
                               .address = net::to_string(address)};
    ASSERT_TRUE(store::put_new(context_->store, model::kWorkerKind, name, worker));
  }
  Result<FoundModel> find(const std::string& path, const std::optional<std::string>& only = {}) {
    return find_model(*context_, path, only);
  }

  testing::TestContext context_;
  RunningServer a_{worker_router("a")};
  RunningServer b_{worker_router("b")};
};

TEST_F(ModelFiles, TheFirstWorkerThatHasTheFileReadsIt) {
  join("a", a_.endpoint());
  join("b", b_.endpoint());
  const auto found = find("/m/on b.gguf");
  ASSERT_TRUE(found) << found.error().to_string();
  EXPECT_EQ(found->profile.name, "b");
  EXPECT_EQ(found->worker->name, "b");
  EXPECT_EQ(found->path, "/m/found.gguf");
}

TEST_F(ModelFiles, TheErrorTellsWhatEachWorkerSaid) {
  join("a", a_.endpoint());
  join("b", b_.endpoint());
  const auto found = find("/m/broken.gguf");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::corrupt);
  EXPECT_EQ(found.error().field, "source");
  EXPECT_EQ(found.error().to_string(),
            "no worker can read /m/broken.gguf: a: it is not there; b: it breaks off");
}

TEST_F(ModelFiles, TheOnlyWorkerIsNamedToo) {
  join("a", a_.endpoint());
  const auto found = find("/m/x.gguf");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::not_found);
  EXPECT_EQ(found.error().to_string(), "/m/x.gguf was looked up on the worker a: it is not there");
}

TEST_F(ModelFiles, OneWorkerCanBeNamed) {
  join("a", a_.endpoint());
  join("b", b_.endpoint(), model::WorkerState::lost);
  EXPECT_EQ(find("/m/on a.gguf", "a")->worker->name, "a");
  EXPECT_EQ(find("/m/on b.gguf", "b").error().code, ErrorCode::unavailable);
  EXPECT_EQ(find("/m/on b.gguf", "c").error().code, ErrorCode::not_found);
}

TEST_F(ModelFiles, AWorkerThatDoesNotAnswerLeavesTheOthers) {
  net::Endpoint nobody;
  {
    const RunningServer gone{net::Router()};
    nobody = gone.endpoint();
  }
  join("0", nobody);
  join("a", a_.endpoint());
  EXPECT_EQ(find("/m/on a.gguf")->worker->name, "a");
  EXPECT_NE(find("/m/x.gguf").error().to_string().find("0: "), std::string::npos);
}

TEST_F(ModelFiles, ForALocalWorkerThatIsAwayTheServerReads) {
  net::Endpoint nobody;
  {
    const RunningServer gone{net::Router()};
    nobody = gone.endpoint();
  }
  join("0", nobody, model::WorkerState::ready, true);
  const auto found = find(context_.folder() / "absent.gguf");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::not_found);
}

TEST_F(ModelFiles, AnAddressThatAsksForAKeyIsNotAboutTheServersOwn) {
  ::setenv("no_proxy", "127.0.0.1", 1);  // whatever the machine's user has set
  net::Router router;
  router.add("GET", "/m.gguf", ask_who_it_is);
  const RunningServer web{std::move(router)};
  const auto url = "http://" + net::to_string(web.endpoint()) + "/m.gguf";
  const auto found = find_model_at(*context_, url);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::permission_denied);
  EXPECT_EQ(found.error().field, "source");
  EXPECT_NE(found.error().message.find("HTTP 401"), std::string::npos);
}

TEST_F(ModelFiles, WithoutAReadyWorkerTheServerReads) {
  join("a", a_.endpoint(), model::WorkerState::not_ready);
  const auto found = find("/m/on a.gguf");
  ASSERT_FALSE(found);
  EXPECT_NE(found.error().to_string().find("on the server's machine"), std::string::npos);
}

}  // namespace
}  // namespace berth::server
