#include "worker/judge_service.h"

#include "base/json.h"
#include "cluster/protocol.h"
#include "engines/test_support.h"
#include "formats/gguf_builder.h"
#include "net/testing.h"
#include "sources/test_server.h"

#include <optional>

#include <gmock/gmock.h>

namespace berth::worker {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

model::ModelProfile llama() {
  model::ModelProfile profile;
  profile.format = model::FileFormat::gguf;
  profile.architecture = "llama";
  profile.context_length = 4096;
  profile.layer_count = 2;
  profile.embedding_length = 64;
  profile.attention = {.heads = 4, .kv_heads = {2, 2}, .key_length = 16, .value_length = 16};
  profile.weights.layers = {1_MiB, 1_MiB};
  profile.files = {{.path = "/models/a.gguf", .size = 3_MiB}};
  return profile;
}

std::vector<model::PackStatus> packs(model::PackState state) {
  model::PackStatus plain;
  plain.pack = {.name = "plain", .backend = "llama-box", .program = {"/plain"}};
  plain.state = model::PackState::installed;
  model::PackStatus built = plain;
  built.pack = {.name = "built",
                .backend = "llama-box",
                .build = "b7",
                .program = {"{pack}/bin/server"},
                .judge = {"{pack}/bin/judge"}};
  built.folder = "/packs/built";
  built.state = state;
  return {plain, built};
}

std::string gguf() {
  std::string text;
  const auto bytes = formats::small_model().build();
  text.reserve(bytes.size());
  for (const std::byte byte : bytes) text += static_cast<char>(byte);
  return text;
}

cluster::JudgeRequest request_for_hub(Bytes size) {
  cluster::JudgeRequest request{.deployment = {.name = "chat", .source = "hf:o/m"},
                                .backend = "llama-box",
                                .profile = llama()};
  request.profile.files = {{.path = "Q4/m.gguf", .size = size}};
  request.files = model::RepositoryFiles{
      .source = "hf:o/m",
      .repository = "o/m",
      .commit = std::string(40, 'c'),
      .files = {{.path = "Q4/m.gguf",
                 .size = size,
                 .digest = {model::DigestKind::sha256, std::string(64, 'd')}}}};
  return request;
}

class JudgeServiceTest : public ::testing::Test {
 protected:
  JudgeServiceTest() {
    commands_.intercept = [this](const std::string&) { return answer_; };
    net::Router router;
    add_judge_routes(router, service_);
    server_.emplace(std::move(router));
  }

  net::Response ask(const std::string& body, const std::string& key = "key") {
    net::ClientRequest request;
    request.method = "POST";
    request.target = "/worker/v1/judge";
    request.headers.set("authorization", "Bearer " + key);
    request.body = body;
    return net::fetch_blocking(server_->endpoint(), std::move(request)).value();
  }
  Result<model::ComputeTable> judge(const std::vector<std::string>& flags = {}) {
    const cluster::JudgeRequest request{
        .deployment = {.name = "chat", .source = "/models/a.gguf", .parameters = flags},
        .backend = "llama-box",
        .profile = llama()};
    const auto response = ask(to_text(to_json(request)));
    if (response.status != 200) {
      return fail(net::error_from_response(response.status, response.body));
    }
    return from_json<model::ComputeTable>(parse_json(response.body).value(),
                                          UnknownMembers::refuse);
  }

  [[nodiscard]] std::filesystem::path headers() const { return data_.path() / "headers"; }
  Result<sources::HubSettings> hubs() const {
    sources::HubSettings settings;
    settings.hugging_face = {.endpoint = hub_, .token = "t0ken"};
    return settings;
  }

  engines::testing::TestFolder data_;
  std::string hub_;
  engines::testing::FakeCommands commands_;
  std::optional<Result<process::RunOutput>> answer_ = process::RunOutput{
      .standard_output =
          R"({"layers":2,"devices":[{"name":"cpu","weights":1,"kv_cache":2,"compute":333}]})"};
  model::PackState state_ = model::PackState::installed;
  JudgeService service_{.access_key = "key",
                        .backends = backends::builtin_backends(),
                        .packs = [this] { return packs(state_); },
                        .system = {.os = "linux", .cores = 2},
                        .judge = engines::Judge(data_.path() / "judgements", commands_),
                        .headers = headers(),
                        .hubs = [this] { return hubs(); }};
  std::optional<net::testing::RunningServer> server_;
};

TEST_F(JudgeServiceTest, NeedsItsKeyAndAWholeRequest) {
  EXPECT_EQ(ask("{}", "other").status, 401);
  EXPECT_EQ(ask("no JSON").status, 400);
  EXPECT_EQ(ask("[]").status, 400);
  EXPECT_THAT(commands_.asked, IsEmpty());
}

TEST_F(JudgeServiceTest, AsksTheJudgeWithTheFlagsThatTheEngineWouldGet) {
  const auto table = judge({"--ctx-size", "1024", "--cache-type-k", "q8_0"});
  ASSERT_TRUE(table) << table.error().to_string();
  EXPECT_EQ(table->build, "b7");
  ASSERT_EQ(table->figures.size(), 1U);
  EXPECT_EQ(table->figures[0].role, model::ComputeRole::cpu_alone);
  EXPECT_EQ(table->figures[0].context, 1024U);
  EXPECT_EQ(table->figures[0].size, 333_B);
  ASSERT_EQ(commands_.asked.size(), 1U);
  EXPECT_EQ(commands_.spawned[0].argv[0], "/packs/built/bin/judge");
  EXPECT_THAT(commands_.asked[0], HasSubstr("--model /models/a.gguf"));
  EXPECT_THAT(commands_.asked[0], HasSubstr("--ctx-size 1024"));
  EXPECT_THAT(commands_.asked[0], HasSubstr("--cache-type-k q8_0"));
  EXPECT_THAT(commands_.asked[0], Not(HasSubstr("--judge-device")));
}

TEST_F(JudgeServiceTest, FetchesTheHeaderOfAModelOnAHubOnce) {
  const auto file = gguf();
  sources::testing::TestServer hub(
      [&](auto& peer, const auto& request) { peer.send(part_answer(request, file)); });
  hub_ = hub.url("");
  auto request = request_for_hub(Bytes{file.size()});
  const auto answer = [&] { return ask(to_text(to_json(request))); };
  std::uintmax_t judged_size = 0;
  commands_.intercept = [&](const std::string& command) {
    EXPECT_THAT(command, HasSubstr((headers() / "Q4/m.gguf").string()));
    judged_size = std::filesystem::file_size(headers() / "Q4/m.gguf");
    return answer_;
  };
  EXPECT_EQ(answer().status, 200);
  EXPECT_EQ(judged_size, file.size());
  EXPECT_FALSE(std::filesystem::exists(headers())) << "it is removed when it was judged";
  EXPECT_THAT(hub.seen(), SizeIs(1));
  EXPECT_EQ(answer().status, 200);
  EXPECT_THAT(commands_.asked, SizeIs(1));
  EXPECT_THAT(hub.seen(), SizeIs(1)) << "the digest is known";
  request.files->files[0].digest.hex = std::string(64, 'e');
  EXPECT_EQ(answer().status, 200);
  EXPECT_THAT(commands_.asked, SizeIs(2));
}

TEST_F(JudgeServiceTest, SaysWhyAHeaderCanNotBeHadAndJudgesNothing) {
  sources::testing::TestServer hub(
      [](auto& peer, const auto&) { peer.send(sources::testing::status_answer("403 Forbidden")); });
  hub_ = hub.url("");
  const auto response = ask(to_text(to_json(request_for_hub(7_B))));
  EXPECT_EQ(response.status, 403);
  EXPECT_THAT(response.body, Not(HasSubstr("t0ken")));
  EXPECT_THAT(commands_.asked, IsEmpty());
}

TEST_F(JudgeServiceTest, WaitsForAHubNoLongerThanItsPatience) {
  sources::testing::TestServer hub([](auto& peer, const auto&) {
    while (peer.pause(std::chrono::seconds(1))) {
    }
    peer.close();
  });
  hub_ = hub.url("");
  service_.patience = std::chrono::milliseconds(50);
  EXPECT_EQ(ask(to_text(to_json(request_for_hub(7_B)))).status, 504);
  EXPECT_THAT(commands_.asked, IsEmpty());
}

TEST_F(JudgeServiceTest, AnswersWithNothingWhereNoPackCanMeasure) {
  state_ = model::PackState::available;
  const auto table = judge();
  ASSERT_TRUE(table);
  EXPECT_THAT(table->build, IsEmpty());
  EXPECT_THAT(table->figures, IsEmpty());
  EXPECT_THAT(commands_.asked, IsEmpty());
}

TEST_F(JudgeServiceTest, PassesOnWhyTheEngineRefuses) {
  answer_ = process::RunOutput{.exit_code = 1, .standard_output = R"({"error":"not this one"})"};
  EXPECT_THAT(judge().error().to_string(), HasSubstr("not this one"));
  answer_ = fail(ErrorCode::timeout, "it did not end");
  EXPECT_THAT(judge().error().to_string(), HasSubstr("did not end"));
}

}  // namespace
}  // namespace berth::worker
