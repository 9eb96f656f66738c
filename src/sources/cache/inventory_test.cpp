// What lies in the caches: listed, listed without the hub, and removed.
#include "sources/cache/cache_test_support.h"

namespace berth::sources {
namespace {

namespace fs = std::filesystem;

using testing::Contents;
using testing::digest_of;
using testing::file_of;
using testing::files_of;
using ::testing::HasSubstr;
using testing::kCommit;
using testing::kOtherCommit;
using testing::OtherProcessLock;
using testing::TestServer;

const Contents kModel{{"config.json", "{}"}, {"model.safetensors", file_of(1000)}};
const Contents kNext{{"config.json", "{\"a\":1}"}, {"model.safetensors", file_of(1000)}};

class Inventory : public testing::CacheTest {
 protected:
  Inventory() {
    const TestServer server(hub_with(kModel));
    const TestServer next(hub_with(kNext));
    EXPECT_TRUE(fetch(server, old_));
    EXPECT_TRUE(fetch(next, new_));
  }

  [[nodiscard]] fs::path repository() const { return places_.hugging_face / "models--org--na.me"; }

  model::RepositoryFiles old_ = files_of(Hub::hugging_face, kModel, kCommit);
  model::RepositoryFiles new_ = files_of(Hub::hugging_face, kNext, kOtherCommit);
};

TEST_F(Inventory, ListsEachCommitWithItsFiles) {
  put(repository() / "refs/v1", kCommit);
  put(repository() / "refs/v1.0", kCommit);
  const auto all = list_caches(places_);
  ASSERT_EQ(all.size(), 2);
  EXPECT_EQ(all[0].hub, Hub::hugging_face);
  EXPECT_EQ(all[0].repository, "org/na.me");
  EXPECT_EQ(all[0].commit, kCommit);
  EXPECT_EQ(all[0].revisions, "v1, v1.0");
  EXPECT_EQ(all[0].folder, repository() / "snapshots" / kCommit);
  EXPECT_EQ(all[0].files, old_.files);
  EXPECT_EQ(all[0].size, 1002_B);
  EXPECT_THAT(all[0].changed_at, ::testing::MatchesRegex("20..-..-..T..:..:......Z"));
  EXPECT_TRUE(all[0].writable);
  EXPECT_EQ(all[1].commit, kOtherCommit);
  EXPECT_EQ(all[1].revisions, "main");
}

TEST_F(Inventory, CountsABlobOnce) {
  link(repository() / "snapshots" / kCommit / "copy.safetensors",
       fs::path("../../blobs") / sha256_hex(kModel.at("model.safetensors")));
  const auto all = list_caches(places_);
  EXPECT_EQ(all[0].files.size(), 3);
  EXPECT_EQ(all[0].size, 1002_B);
}

TEST_F(Inventory, LeavesOutWhatIsNoRepository) {
  put(places_.hugging_face / "datasets--org--d/snapshots" / kCommit / "x", "x");
  put(places_.hugging_face / "models--org/snapshots" / kCommit / "x", "x");
  put(folder_ / "elsewhere/snapshots" / kCommit / "x", "x");
  link(places_.hugging_face / "models--org--out", folder_ / "elsewhere");
  fs::create_directories(places_.hugging_face / "models--org--empty/snapshots" / kCommit);
  EXPECT_EQ(list_caches(places_).size(), 2);
}

TEST_F(Inventory, KnowsARepositoryWithoutTheHub) {
  const auto list = [&](std::string_view name) {
    return list_cached(parse_hub_name(name).value(), places_);
  };
  const auto main = list("hf:org/na.me");
  ASSERT_TRUE(main) << main.error().to_string();
  EXPECT_EQ(main->commit, kOtherCommit);
  ASSERT_EQ(main->files.size(), 2);
  EXPECT_EQ(main->files[0].digest, digest_of(DigestKind::git_blob, kNext.at("config.json")));
  EXPECT_EQ(main->files[1].digest, digest_of(DigestKind::sha256, kNext.at("model.safetensors")));
  EXPECT_EQ(main->files[1].size, 1000_B);
  EXPECT_EQ(list("hf:org/na.me@" + kCommit)->files[0].size, 2_B);
  for (const char* absent : {"hf:org/na.me@v9", "hf:org/other", "ms:org/na.me", "ollama:m"}) {
    const auto listing = list(absent);
    ASSERT_FALSE(listing) << absent;
    EXPECT_EQ(listing.error().code, ErrorCode::not_found);
    EXPECT_THAT(listing.error().message, HasSubstr(absent));
  }
  put(repository() / "refs/main", "../../../elsewhere");
  EXPECT_FALSE(list("hf:org/na.me"));
}

TEST_F(Inventory, RemovesWhatNoOtherCommitNeeds) {
  const auto freed = remove_cached(old_, places_);
  ASSERT_TRUE(freed) << freed.error().to_string();
  EXPECT_EQ(*freed, 2_B);  // the weights are in the other commit
  EXPECT_FALSE(is_cached(old_));
  EXPECT_TRUE(is_cached(new_));
  EXPECT_EQ(remove_cached(old_, places_).value(), 0_B);
  const std::string weights = old_.files[1].digest.hex;
  put(repository() / "blobs" / (weights + ".part"), "12345");
  EXPECT_EQ(remove_cached(new_, places_).value(), Bytes{1000 + 7 + 5});
  EXPECT_FALSE(fs::exists(repository()));
  EXPECT_EQ(remove_cached(new_, places_).value(), 0_B);
}

TEST_F(Inventory, KeepsOtherFilesOfTheCommit) {
  auto one = old_;
  one.files.erase(one.files.begin());
  put(repository() / "refs/v1", kCommit);
  EXPECT_EQ(remove_cached(one, places_).value(), 0_B);
  EXPECT_TRUE(fs::exists(repository() / "snapshots" / kCommit / "config.json"));
  EXPECT_TRUE(fs::exists(repository() / "refs/v1"));
  EXPECT_EQ(remove_cached(old_, places_).value(), 2_B);
  EXPECT_FALSE(fs::exists(repository() / "refs/v1"));
  EXPECT_EQ(text_of(repository() / "refs/main"), kOtherCommit);
}

TEST_F(Inventory, RemovesNothingThatSomebodyFetches) {
  const OtherProcessLock other(places_.hugging_face / ".locks/models--org--na.me" /
                               (old_.files[0].digest.hex + ".lock"));
  const auto freed = remove_cached(old_, places_);
  ASSERT_FALSE(freed);
  EXPECT_EQ(freed.error().code, ErrorCode::conflict);
  EXPECT_TRUE(is_cached(old_));
}

TEST_F(Inventory, RemovesNothingBeyondLinks) {
  const fs::path outside = folder_ / "elsewhere";
  put(outside / "config.json", "{}");
  fs::remove_all(repository() / "snapshots" / kCommit);
  link(repository() / "snapshots" / kCommit, outside);
  ASSERT_TRUE(remove_cached(old_, places_));
  EXPECT_EQ(text_of(outside / "config.json"), "{}");
  fs::rename(repository(), folder_ / "moved");
  link(repository(), folder_ / "moved");
  EXPECT_EQ(remove_cached(new_, places_).value(), 0_B);
  EXPECT_TRUE(fs::exists(folder_ / "moved/snapshots" / kOtherCommit / "config.json"));
}

}  // namespace
}  // namespace berth::sources
