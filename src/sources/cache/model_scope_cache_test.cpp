// ModelScope's cache, where nothing but its content says what a file is.
#include "sources/cache/cache_test_support.h"

namespace berth::sources {
namespace {

namespace fs = std::filesystem;

using ::testing::Contains;
using testing::Contents;
using testing::file_of;
using testing::files_of;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::kOtherCommit;
using testing::settings_for;
using testing::TestServer;

const Contents kModel{{"config.json", "{}"}, {"model.gguf", file_of(3 * testing::kChunk.count)}};

class ModelScopeCache : public testing::CacheTest {
 protected:
  [[nodiscard]] fs::path snapshot(const std::string& revision = "master") const {
    return places_.model_scope / "models/org--na.me/snapshots" / revision;
  }
  model::RepositoryFiles files_ = files_of(Hub::model_scope, kModel);
};

TEST_F(ModelScopeCache, IsWrittenAsItsOwnToolsDo) {
  const TestServer server(hub_with(kModel));
  EXPECT_FALSE(is_cached(files_));
  const auto fetched = fetch(server, files_);
  ASSERT_TRUE(fetched) << fetched.error().to_string();
  EXPECT_EQ(fetched->folder, snapshot());
  EXPECT_EQ(text_of(snapshot() / "model.gguf"), kModel.at("model.gguf"));
  const auto lines = tree(places_.model_scope);
  ASSERT_EQ(lines.size(), 4);
  // As DownloadManager._lock_path computes it for config.json.
  EXPECT_THAT(lines, Contains(".lock/file_"
                              "de25dba4ff62dd647bd2a343d7356ceeb81a7a29ebb09ccdc312adb274fbbe6f"
                              ".lock"));
  EXPECT_EQ(lines[2], "models/org--na.me/snapshots/master/config.json");
  EXPECT_EQ(lines[3], "models/org--na.me/snapshots/master/model.gguf");
  const auto asked = server.seen().size();
  EXPECT_EQ(asked, 4);
  EXPECT_TRUE(is_cached(files_));
  EXPECT_TRUE(fetch(server, files_));
  EXPECT_EQ(server.seen().size(), asked);
}

TEST_F(ModelScopeCache, TakesItsToolsFilesWhenTheyWereReadOnce) {
  const TestServer server(hub_with(kModel));
  for (const fs::path& place : {snapshot(), places_.model_scope / "models/org/na___me",
                                places_.model_scope / "hub/models/org/na___me"}) {
    for (const auto& [path, content] : kModel) put(place / path, content);
    EXPECT_FALSE(is_cached(files_)) << place;
    auto options = fetch_options();
    Bytes read;
    options.on_progress = [&](const FetchProgress& progress) {
      EXPECT_EQ(progress.phase, FetchPhase::verifying);
      read = progress.done;
    };
    const auto fetched = fetch_files(files_, places_, settings_for(server), options);
    ASSERT_TRUE(fetched) << fetched.error().to_string();
    EXPECT_EQ(fetched->folder, place);
    EXPECT_EQ(read.count, kModel.at("model.gguf").size());
    EXPECT_TRUE(is_cached(files_)) << place;
    // Changed since: not what was read.
    fs::last_write_time(place / "config.json",
                        fs::last_write_time(place / "config.json") + std::chrono::seconds(1));
    EXPECT_FALSE(is_cached(files_)) << place;
    fs::remove_all(places_.model_scope);
  }
  EXPECT_THAT(server.seen(), IsEmpty());
}

TEST_F(ModelScopeCache, KeepsAnOlderVersionThatIsInUse) {
  const TestServer server(hub_with(kModel));
  ASSERT_TRUE(fetch(server, files_));
  Contents next = kModel;
  next["config.json"] = "[]";  // of the same size
  const TestServer later(hub_with(next));
  const auto files = files_of(Hub::model_scope, next, kOtherCommit);
  const auto fetched = fetch(later, files);
  ASSERT_TRUE(fetched) << fetched.error().to_string();
  EXPECT_EQ(fetched->folder, snapshot(kOtherCommit));
  EXPECT_EQ(text_of(fetched->paths.at("config.json")), "[]");
  EXPECT_EQ(text_of(fetched->paths.at("model.gguf")), kModel.at("model.gguf"));
  EXPECT_EQ(later.seen().size(), 1);  // the weights are there already
  EXPECT_TRUE(is_cached(files_));
  EXPECT_TRUE(is_cached(files));

  auto nameless = files_of(Hub::model_scope, {{"config.json", "()"}}, "");
  const auto refused = fetch(later, nameless);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::conflict);
  EXPECT_THAT(refused.error().message, HasSubstr(snapshot().string()));
}

TEST_F(ModelScopeCache, ReadsWhatAnotherProcessPutThereMeanwhile) {
  const TestServer server(hub_with(kModel));
  ASSERT_TRUE(fetch(server, files_));
  std::string lock;
  for (const auto& line : tree(places_.model_scope)) {
    if (line.starts_with(".lock/file_3b34")) lock = line;  // of model.gguf
  }
  fs::remove_all(snapshot());
  testing::OtherProcessLock other(places_.model_scope / lock);
  auto options = fetch_options();
  options.on_progress = [&](const FetchProgress& progress) {
    if (progress.phase != FetchPhase::waiting) return;
    put(snapshot() / "model.gguf", std::string(kModel.at("model.gguf").size(), 'x'));
    other.release();
  };
  const auto fetched = fetch_files(files_, places_, settings_for(server), options);
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().code, ErrorCode::conflict);
  EXPECT_FALSE(is_cached(files_));
}

TEST_F(ModelScopeCache, TakesAFileWithoutDigestByItsSize) {
  Contents all = kModel;
  all["README.md"] = "text";
  auto files = files_of(Hub::model_scope, all);
  files.files[0].digest = {};
  const TestServer server(hub_with(all));
  ASSERT_TRUE(fetch(server, files));
  EXPECT_TRUE(is_cached(files));
  put(snapshot() / "README.md", "longer");
  EXPECT_FALSE(is_cached(files));
}

TEST_F(ModelScopeCache, WorksWhereNothingCanBeRemembered) {
  places_.known_digests = "/proc/berth";
  const TestServer server(hub_with(kModel));
  ASSERT_TRUE(fetch(server, files_));
  EXPECT_FALSE(is_cached(files_));
  const auto again = fetch(server, files_);
  ASSERT_TRUE(again) << again.error().to_string();
  EXPECT_EQ(again->folder, snapshot());
  EXPECT_EQ(server.seen().size(), 4);
}

TEST_F(ModelScopeCache, IsListedAndRemoved) {
  const TestServer server(hub_with(kModel));
  files_.revision = "v1";
  ASSERT_TRUE(fetch(server, files_));
  put(snapshot("v1") / "other.txt", "mine");
  put(snapshot("v1") / "model.gguf.part", "12");
  put(places_.model_scope / "models/old/na___me/.msc", "x");
  put(places_.model_scope / "models/old/na___me/a.gguf", "x");
  const auto all = list_caches(places_);
  ASSERT_EQ(all.size(), 2);
  EXPECT_EQ(all[0].repository, "old/na.me");
  ASSERT_EQ(all[0].files.size(), 1);
  EXPECT_EQ(all[1].hub, Hub::model_scope);
  EXPECT_EQ(all[1].repository, "org/na.me");
  EXPECT_EQ(all[1].revisions, "v1");
  EXPECT_EQ(all[1].commit, "");
  EXPECT_EQ(all[1].files.size(), 3);
  const auto listing = list_cached(parse_hub_name("ms:org/na.me@v1").value(), places_);
  ASSERT_TRUE(listing);
  EXPECT_EQ(listing->files[1].path, "model.gguf");
  EXPECT_FALSE(list_cached(parse_hub_name("ms:org/na.me").value(), places_));

  EXPECT_EQ(remove_cached(files_, places_).value(), total_size(files_) + 2_B);
  EXPECT_EQ(text_of(snapshot("v1") / "other.txt"), "mine");
  EXPECT_FALSE(fs::exists(snapshot("v1") / "model.gguf"));
  EXPECT_THAT(tree(places_.known_digests), IsEmpty());
  // What nobody has read may be anything.
  put(snapshot("v1") / "config.json", "[]");
  EXPECT_EQ(remove_cached(files_, places_).value(), 0_B);
  EXPECT_TRUE(fs::exists(snapshot("v1") / "config.json"));
}

TEST_F(ModelScopeCache, IsNotLeftThroughALink) {
  const TestServer server(hub_with(kModel));
  fs::create_directories(folder_ / "elsewhere");
  link(places_.model_scope / "models/org--na.me/snapshots", folder_ / "elsewhere");
  const auto fetched = fetch(server, files_);
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().code, ErrorCode::conflict);
  EXPECT_THAT(tree(folder_ / "elsewhere"), IsEmpty());
}

}  // namespace
}  // namespace berth::sources
