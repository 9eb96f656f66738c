#include "engines/judge.h"

#include "engines/test_support.h"

#include <gmock/gmock.h>

namespace berth::engines {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;

constexpr const char* kAnswer =
    R"({"layers":18,"devices":[{"name":"a","weights":1,"kv_cache":2,"compute":3,"projector":0},)"
    R"({"name":"cpu","weights":4,"kv_cache":5,"compute":6,"projector":7}]})";

class JudgeTest : public ::testing::Test {
 protected:
  JudgeTest() {
    testing::write(model_, "weights");
    commands_.intercept = [this](const std::string&) -> std::optional<Result<process::RunOutput>> {
      return output_;
    };
  }
  [[nodiscard]] JudgeQuestion question() const {
    return {.argv = {"/pack/bin/judge", "--model", model_.string()},
            .devices = {{.name = "a", .kind = "cuda", .memory = 24_GiB}},
            .files = {model_},
            .build = "b1"};
  }

  testing::TestFolder data_;
  fs::path model_ = data_.path() / "model.gguf";
  fs::path folder_ = data_.path() / "judgements";
  testing::FakeCommands commands_;
  process::RunOutput output_{.standard_output = kAnswer};
};

TEST_F(JudgeTest, AsksThePacksProgramAndReadsWhatEachDeviceTakes) {
  const auto answer = Judge(folder_, commands_).ask(question(), std::chrono::seconds(1));
  ASSERT_TRUE(answer) << answer.error().to_string();
  EXPECT_EQ(answer->layers, 18U);
  ASSERT_EQ(answer->devices.size(), 2U);
  EXPECT_EQ(answer->devices[0].compute, 3_B);
  EXPECT_EQ(answer->devices[1].projector, 7_B);
  EXPECT_THAT(commands_.asked.front(), HasSubstr("--judge-device a=cuda:25769803776"));
}

TEST_F(JudgeTest, KnowsByTheirContentWhatIsNoFileOfThisMachine) {
  Judge judge(folder_, commands_);
  auto remote = question();
  remote.files.clear();
  remote.contents = {"sha256 1"};
  EXPECT_FALSE(judge.known(remote));
  EXPECT_TRUE(judge.ask(remote, std::chrono::seconds(1)));
  const auto known = judge.known(remote);
  ASSERT_TRUE(known);
  EXPECT_EQ(known->layers, 18U);
  remote.contents = {"sha256 2"};
  EXPECT_FALSE(judge.known(remote)) << "another content";
  EXPECT_EQ(commands_.asked.size(), 1U) << "to know asks nobody";
}

TEST_F(JudgeTest, RemembersUntilFileFlagsDevicesOrBuildChange) {
  const auto ask = [&](const JudgeQuestion& what) {
    EXPECT_TRUE(Judge(folder_, commands_).ask(what, std::chrono::seconds(1)));
    return commands_.asked.size();
  };
  EXPECT_EQ(ask(question()), 1U);
  EXPECT_EQ(ask(question()), 1U) << "asked twice";
  auto other = question();
  other.argv.push_back("--ctx-size=1");
  EXPECT_EQ(ask(other), 2U);
  other = question();
  other.build = "b2";
  EXPECT_EQ(ask(other), 3U);
  other = question();
  other.devices.front().memory = 8_GiB;
  EXPECT_EQ(ask(other), 4U);
  testing::write(model_, "other weights");
  EXPECT_EQ(ask(question()), 5U);
}

TEST_F(JudgeTest, KeepsTheNewestAnswersOnly) {
  for (int i = 0; i < 5; ++i) {
    auto one = question();
    one.build = std::to_string(i);
    ASSERT_TRUE(Judge(folder_, commands_, 3).ask(one, std::chrono::seconds(1)));
  }
  const fs::directory_iterator files(folder_);
  EXPECT_EQ(std::distance(begin(files), end(files)), 3);
}

TEST_F(JudgeTest, TellsWhyTheEngineRefuses) {
  output_ = {.exit_code = 1,
             .standard_output = R"({"error":"the engine does not load this model"})",
             .standard_error = "0.01 I hello\n0.02 E llama: tensor x is missing\n"};
  const auto answer = Judge(folder_, commands_).ask(question(), std::chrono::seconds(1));
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::unsupported);
  EXPECT_THAT(answer.error().message, HasSubstr("does not load this model"));
  EXPECT_THAT(answer.error().message, HasSubstr("tensor x is missing"));
  output_ = {.standard_output = kAnswer};
  EXPECT_TRUE(Judge(folder_, commands_).ask(question(), std::chrono::seconds(1)))
      << "a refusal is not remembered";
}

TEST_F(JudgeTest, DoesNotTakeWhatIsNoAnswer) {
  for (const auto* text : {"", "[]", "{}", R"({"layers":-1})", "{\"layers\":1,\"devices\":[]}",
                           R"({"devices":[{"name":"a","weights":-5},{"name":"cpu"}]})"}) {
    EXPECT_FALSE(parse_judgement(text, 1)) << text;
  }
  output_.exit_code = 3;
  EXPECT_EQ(Judge(folder_, commands_).ask(question(), std::chrono::seconds(1)).error().code,
            ErrorCode::io);
}

}  // namespace
}  // namespace berth::engines
