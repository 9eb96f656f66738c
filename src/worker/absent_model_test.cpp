#include "worker/absent_model.h"

#include "formats/gguf_builder.h"
#include "sources/test_server.h"

#include <map>

#include <gmock/gmock.h>

namespace berth::worker {
namespace {

namespace fs = std::filesystem;
using sources::testing::part_answer;
using sources::testing::Peer;
using sources::testing::Seen;
using sources::testing::TestServer;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

const std::string kCommit(40, 'c');
const std::string kDigest(64, 'd');

std::string gguf(std::uint32_t layers = 2) {
  std::string text;
  const auto bytes = formats::small_model("llama", layers).build();
  text.reserve(bytes.size());
  for (const std::byte byte : bytes) text += static_cast<char>(byte);
  return text;
}

class AbsentModelTest : public ::testing::Test {
 protected:
  ~AbsentModelTest() override { fs::remove_all(folder_.parent_path()); }

  // A model of the repository o/m with these files, of which the first `weights` are its own.
  cluster::JudgeRequest on_hub(const std::vector<std::string>& paths, std::size_t weights = 1) {
    cluster::JudgeRequest request{.deployment = {.name = "m", .source = "hf:o/m"},
                                  .backend = "llama-box"};
    request.files = model::RepositoryFiles{
        .source = "hf:o/m", .repository = "o/m", .commit = kCommit, .files = {}};
    for (const auto& path : paths) {
      content_.try_emplace("/o/m/resolve/" + kCommit + "/" + path, gguf());
      const Bytes size{gguf().size()};
      request.files->files.push_back(
          {.path = path, .size = size, .digest = {model::DigestKind::sha256, kDigest}});
      if (request.profile.files.size() < weights) request.profile.files.push_back({path, size});
    }
    return request;
  }
  Result<std::unique_ptr<AbsentModel>> open(cluster::JudgeRequest request) {
    sources::HubSettings settings;
    settings.hugging_face = {.endpoint = server_.url(""), .token = "t0ken"};
    settings.offline = offline_;
    settings.http.retries.count = 0;
    return AbsentModel::open(std::move(request), settings, folder_);
  }

  bool offline_ = false;
  fs::path folder_ =
      fs::path(::testing::TempDir()) / fmt::format("absent-{}", ::getpid()) / "model";
  std::map<std::string, std::string> content_;  // by target
  TestServer server_{[this](Peer& peer, const Seen& request) {
    const auto file = content_.find(request.target.substr(0, request.target.find('?')));
    peer.send(file == content_.end() ? sources::testing::status_answer("404 Not Found")
                                     : part_answer(request, file->second));
  }};
};

TEST_F(AbsentModelTest, IsOnAHubOrAtAddresses) {
  EXPECT_TRUE(is_absent(on_hub({"m.gguf"})));
  cluster::JudgeRequest request;
  EXPECT_FALSE(is_absent(request));
  request.profile.files = {{.path = "/models/m.gguf"}};
  EXPECT_FALSE(is_absent(request));
  request.profile.files = {{.path = "https://example.org/m.gguf"}};
  EXPECT_TRUE(is_absent(request));
}

TEST_F(AbsentModelTest, KnowsByTheHubsDigestsWhatItHasWithoutAsking) {
  const auto model = open(on_hub({"Q4/m.gguf"}));
  ASSERT_TRUE(model) << model.error().to_string();
  EXPECT_EQ((*model)->request().deployment.source, folder_);
  const auto contents = (*model)->contents({"--model", folder_ / "Q4/m.gguf"});
  ASSERT_TRUE(contents);
  EXPECT_THAT(*contents, ElementsAre(HasSubstr(kDigest)));
  EXPECT_THAT(server_.seen(), IsEmpty());
}

TEST_F(AbsentModelTest, FetchesTheHeadersOfItsWeightsAndOfWhatFlagsName) {
  auto opened = open(on_hub(
      {"m-00001-of-00002.gguf", "m-00002-of-00002.gguf", "mmproj-F16.gguf", "mmproj-F32.gguf"}, 2));
  ASSERT_TRUE(opened) << opened.error().to_string();
  const std::vector<std::string> argv = {"/pack/judge", "--model",
                                         folder_ / "m-00001-of-00002.gguf", "--mmproj",
                                         folder_ / "mmproj-F32.gguf"};
  const auto fetched = (*opened)->fetch(argv);
  ASSERT_TRUE(fetched) << fetched.error().to_string();
  EXPECT_THAT((*opened)->contents(argv).value(), SizeIs(3));
  for (const auto* name : {"m-00001-of-00002.gguf", "m-00002-of-00002.gguf", "mmproj-F32.gguf"}) {
    EXPECT_EQ(fs::file_size(folder_ / name), gguf().size()) << name;
  }
  EXPECT_FALSE(fs::exists(folder_ / "mmproj-F16.gguf"));
  const auto asked = server_.seen();
  EXPECT_THAT(asked, SizeIs(3));
  for (const auto& one : asked) EXPECT_EQ(one.field("authorization"), "Bearer t0ken");
  ASSERT_TRUE((*opened)->fetch(argv));
  EXPECT_THAT(server_.seen(), SizeIs(3)) << "each is fetched once";
  opened->reset();
  EXPECT_FALSE(fs::exists(folder_)) << "nothing stays";
}

TEST_F(AbsentModelTest, AtAnAddressIsKnownByItsHeader) {
  content_["/f/m.gguf"] = gguf();
  cluster::JudgeRequest request{.deployment = {.name = "m", .source = server_.url("/f/m.gguf")}};
  request.profile.files = {{.path = server_.url("/f/m.gguf?sign=1"), .size = Bytes{gguf().size()}}};
  const auto contents_now = [&] {
    const auto model = open(request).value();
    EXPECT_EQ(model->request().profile.files[0].path, "model.gguf");
    return model->contents({"--model", folder_ / "model.gguf"}).value();
  };
  const auto first = contents_now();
  EXPECT_EQ(contents_now(), first);
  EXPECT_EQ(server_.seen().front().field("authorization"), "") << "the hub's token is the hub's";
  content_["/f/m.gguf"] = gguf(3);
  request.profile.files[0].size = Bytes{gguf(3).size()};
  EXPECT_NE(contents_now(), first);
}

TEST_F(AbsentModelTest, CallsThePartsAtAddressesAsEnginesFindThem) {
  cluster::JudgeRequest request;
  request.profile.files = {{.path = "http://a/../x-1?a"}, {.path = "http://a/x-2"}};
  const auto model = open(request).value();
  EXPECT_EQ(model->request().profile.files[0].path, "model-00001-of-00002.gguf");
  EXPECT_EQ(model->request().profile.files[1].path, "model-00002-of-00002.gguf");
}

TEST_F(AbsentModelTest, SaysWhatCanNotBeHad) {
  auto request = on_hub({"m.gguf"});
  content_.clear();
  const auto model = open(request).value();
  const auto fetched = model->fetch({});
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().code, ErrorCode::not_found);
  EXPECT_THAT(fetched.error().message, Not(HasSubstr("t0ken")));
  const auto other = model->contents({"--lora", folder_ / "adapter.gguf"});
  ASSERT_FALSE(other);
  EXPECT_THAT(other.error().message, HasSubstr("adapter.gguf is no file of the model"));
}

TEST_F(AbsentModelTest, RefusesPathsAndNamesThatLeadElsewhere) {
  for (const auto* path : {"../m.gguf", "/etc/m.gguf", "a/../../m.gguf"}) {
    EXPECT_EQ(open(on_hub({path})).error().code, ErrorCode::invalid_parameter) << path;
  }
  auto request = on_hub({"m.gguf"});
  request.files->repository = "o/m/../../x";
  EXPECT_EQ(open(request).error().code, ErrorCode::invalid_parameter);
  EXPECT_THAT(server_.seen(), IsEmpty());
}

TEST_F(AbsentModelTest, AsksNobodyOffline) {
  offline_ = true;
  const auto model = open(on_hub({"m.gguf"}));
  ASSERT_FALSE(model);
  EXPECT_EQ(model.error().code, ErrorCode::unavailable);
  EXPECT_THAT(model.error().message, HasSubstr("HF_HUB_OFFLINE"));
}

TEST_F(AbsentModelTest, RemovesWhatAnEarlierOneLeft) {
  fs::create_directories(folder_ / "left");
  ASSERT_TRUE(open(on_hub({"m.gguf"})));
  EXPECT_FALSE(fs::exists(folder_));
}

}  // namespace
}  // namespace berth::worker
