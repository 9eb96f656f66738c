// Files that come from a mirror before the hub is asked.
#include "sources/cache/cache_test_support.h"

#include <atomic>

namespace berth::sources {
namespace {

using testing::Contents;
using testing::file_of;
using testing::files_of;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kChunk;
using testing::Peer;
using testing::Seen;
using testing::serve;
using testing::settings_for;
using testing::TestServer;

const Contents kModel{{"config.json", "{}"}, {"model.safetensors", file_of(5 * kChunk.count)}};
constexpr std::string_view kToken = "opens-the-mirror";

class Mirrors : public testing::CacheTest {
 protected:
  // Has the files by their index, and nothing that would tell their version.
  static testing::Script mirror_with(const Contents& contents) {
    return [contents](Peer& peer, const Seen& seen) {
      if (seen.field("authorization") != fmt::format("Bearer {}", kToken)) {
        peer.send(testing::status_answer("401 Unauthorized"));
        return;
      }
      auto file = contents.begin();
      std::advance(file, seen.target.back() - '0');
      serve(peer, seen, file->second, "");
    };
  }
  static Mirror at(const TestServer& server, const std::string& name = "box-2") {
    return {.name = name, .base = server.url("/way"), .token = std::string(kToken)};
  }
  Result<LocalFiles> fetch_from(const std::vector<Mirror>& mirrors, const TestServer& hub) {
    return fetch_files(files_, places_, settings_for(hub), options_with(mirrors));
  }
  FetchOptions options_with(const std::vector<Mirror>& mirrors) {
    auto options = fetch_options();
    options.find_mirrors = [this, mirrors] {
      ++looked_;
      return mirrors;
    };
    options.on_progress = [this](const FetchProgress& progress) { from_.push_back(progress.from); };
    return options;
  }
  void expect_whole(const Result<LocalFiles>& fetched) {
    ASSERT_TRUE(fetched) << fetched.error().to_string();
    for (const auto& [path, content] : kModel) {
      EXPECT_EQ(text_of(fetched->paths.at(path)), content) << path;
    }
  }
  // Of what the server sent, the bytes of ranges.
  static std::size_t ranges_of(const TestServer& server) {
    return static_cast<std::size_t>(std::ranges::count_if(
        server.seen(), [](const Seen& seen) { return !seen.field("range").empty(); }));
  }

  model::RepositoryFiles files_ = files_of(Hub::hugging_face, kModel);
  std::vector<std::string> from_;
  int looked_ = 0;
};

TEST_F(Mirrors, GiveAllAndTheHubIsNotAsked) {
  const TestServer hub(hub_with(kModel));
  const TestServer mirror(mirror_with(kModel));
  expect_whole(fetch_from({at(mirror)}, hub));
  EXPECT_THAT(hub.seen(), IsEmpty());
  EXPECT_EQ(std::ranges::count(from_, "box-2"), std::ssize(from_));
  EXPECT_FALSE(from_.empty());
  expect_whole(fetch_from({at(mirror)}, hub));
  EXPECT_EQ(looked_, 1) << "all was there";
}

TEST_F(Mirrors, AreUsedWhereTheHubMustNotBeAsked) {
  const TestServer hub(hub_with(kModel));
  const TestServer mirror(mirror_with(kModel));
  auto settings = settings_for(hub);
  settings.offline = true;
  const auto alone = fetch_files(files_, places_, settings, options_with({}));
  ASSERT_FALSE(alone);
  EXPECT_THAT(alone.error().message, HasSubstr("HF_HUB_OFFLINE"));
  expect_whole(fetch_files(files_, places_, settings, options_with({at(mirror)})));
  EXPECT_THAT(hub.seen(), IsEmpty());
}

TEST_F(Mirrors, ThatSendSomethingElseAreGivenUp) {
  Contents other = kModel;
  other["model.safetensors"][3 * kChunk.count] ^= 1;
  const TestServer hub(hub_with(kModel));
  const TestServer mirror(mirror_with(other));
  expect_whole(fetch_from({at(mirror)}, hub));
  EXPECT_EQ(ranges_of(hub), 5) << "what came was thrown away, and only that";
}

TEST_F(Mirrors, ThatGoAwayLeaveTheRestToTheHub) {
  const TestServer hub(hub_with(kModel));
  std::atomic<int> left = 4;  // the small file, and three chunks, one after the other
  const TestServer mirror([&, good = mirror_with(kModel)](Peer& peer, const Seen& seen) {
    if (left.fetch_sub(1) > 0) return good(peer, seen);
    peer.send(testing::status_answer("404 Not Found"));
  });
  auto options = options_with({at(mirror)});
  options.download.connections = 1;
  expect_whole(fetch_files(files_, places_, settings_for(hub), options));
  EXPECT_EQ(ranges_of(hub), 2) << "what came is kept, though the hub has tags for its version";
}

TEST_F(Mirrors, AreAskedOneAfterTheOther) {
  const TestServer hub(hub_with(kModel));
  const TestServer good(mirror_with(kModel));
  const TestServer bad(
      [](Peer& peer, const Seen&) { peer.send(testing::status_answer("403 Forbidden")); });
  expect_whole(fetch_from({at(bad, "box-1"), at(good)}, hub));
  EXPECT_THAT(hub.seen(), IsEmpty());
  EXPECT_EQ(bad.seen().size(), 1) << "once it has refused, it is left alone";
}

TEST_F(Mirrors, GetNoFileThatNothingCouldVerify) {
  const TestServer hub(hub_with(kModel));
  const TestServer mirror(mirror_with(kModel));
  files_ = files_of(Hub::model_scope, kModel);
  files_.files.front().digest = {};
  const auto fetched = fetch_from({at(mirror)}, hub);
  ASSERT_TRUE(fetched) << fetched.error().to_string();
  ASSERT_EQ(hub.seen().size(), 1);
  EXPECT_THAT(hub.seen().front().target, HasSubstr("config.json"));
}

TEST_F(Mirrors, AreReachedPastAnyProxy) {
  const TestServer hub(hub_with(kModel));
  const TestServer mirror(mirror_with(kModel));
  ::setenv("http_proxy", "http://127.0.0.1:1", 1);
  ::unsetenv("no_proxy");
  const auto fetched = fetch_from({at(mirror)}, hub);
  ::unsetenv("http_proxy");
  expect_whole(fetched);
}

}  // namespace
}  // namespace berth::sources
