#include "server/file_views.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::server {
namespace {

using model::FilesState;
using ::testing::ElementsAre;

model::RepositoryFiles files_of(const std::string& name, const std::string& path = "m.gguf",
                                Bytes size = 100_B) {
  return {.source = "hf:o/" + name,
          .hub = model::Hub::hugging_face,
          .repository = "o/" + name,
          .revision = "",
          .commit = "c0ffee",
          .files = {{.path = path, .size = size, .digest = {}}}};
}

model::CachedRepository cached(const std::string& name, const std::vector<std::string>& paths) {
  model::CachedRepository repository{.repository = "o/" + name,
                                     .commit = "c0ffee",
                                     .folder = "/cache/" + name,
                                     .changed_at = "2026-01-01T00:00:00.000Z"};
  repository.files.reserve(paths.size());
  for (const auto& path : paths) {
    repository.files.push_back({.path = path, .size = 100_B, .digest = {}});
  }
  return repository;
}

model::Model model_with(const std::string& name, const model::RepositoryFiles& files) {
  model::Model model;
  model.deployment.name = name;
  model.files = files;
  return model;
}

std::vector<std::string> sources_of(const std::vector<FileSet>& sets) {
  std::vector<std::string> sources;
  sources.reserve(sets.size());
  for (const auto& set : sets) sources.push_back(set.view.source);
  return sources;
}

TEST(FileSets, HaveWhatAWorkerToldOfItsDownloads) {
  const auto files = files_of("a");
  const WorkerFiles of{.worker = "box1",
                       .statuses = {{.key = model::files_key(files),
                                     .source = files.source,
                                     .state = FilesState::downloading,
                                     .done = 40_B,
                                     .total = 100_B}}};
  const auto sets = find_sets(of, {model_with("chat", files)});
  ASSERT_EQ(sets.size(), 1U);
  const auto& view = sets.front().view;
  EXPECT_EQ(view.worker, "box1");
  EXPECT_EQ(view.state, FilesState::downloading);
  EXPECT_EQ(view.done, 40_B);
  EXPECT_THAT(view.used_by, ElementsAre("chat"));
  EXPECT_EQ(sets.front().files.files, files.files);
}

TEST(FileSets, HaveWhatWasFetchedAsLongAsItIsThere) {
  const WorkerFiles of{
      .worker = "box1",
      .cached = {.repositories = {cached("a", {"m.gguf"})},
                 .fetched = {{.files = files_of("a"), .used_at = "2026-02-01T00:00:00.000Z"},
                             {.files = files_of("gone")}}}};
  const auto sets = find_sets(of, {});
  ASSERT_THAT(sources_of(sets), ElementsAre("hf:o/a"));
  EXPECT_TRUE(sets.front().view.fetched);
  EXPECT_EQ(sets.front().view.used_at, "2026-02-01T00:00:00.000Z");
}

TEST(FileSets, TellWhatOthersPutThereApart) {
  const WorkerFiles of{.worker = "box1",
                       .cached = {.repositories = {cached("a", {"config.json", "m.gguf", "x.bin"})},
                                  .fetched = {{.files = files_of("a")}}}};
  const auto sets = find_sets(of, {});
  ASSERT_EQ(sets.size(), 2U);
  const auto& others = sets.front().view.fetched ? sets.back() : sets.front();
  EXPECT_EQ(others.view.files, 2U);
  EXPECT_EQ(others.view.size, 200_B);
  EXPECT_FALSE(others.view.fetched);
}

TEST(FileSets, KnowModelsThatWereDeployedFromTheirFolder) {
  model::Model model;
  model.deployment.name = "local";
  model.profile.files = {{.path = "/cache/a/snapshots/c0ffee/m.gguf", .size = 100_B}};
  const WorkerFiles of{.worker = "box1", .cached = {.repositories = {cached("a", {"m.gguf"})}}};
  EXPECT_THAT(find_sets(of, {model}).front().view.used_by, ElementsAre("local"));
}

class Prune : public ::testing::Test {
 protected:
  static FileSet set(const std::string& source, const std::string& used_at) {
    return {.view = {.source = source, .size = 100_B, .fetched = true, .used_at = used_at},
            .files = files_of("a")};
  }
  std::vector<std::string> chosen(const PruneWish& wish) const {
    return sources_of(choose_to_prune(sets_, wish, ManualClock().system_now()));
  }
  // 50 years after 1970 it is then.
  std::vector<FileSet> sets_ = {set("old", "2019-01-01T00:00:00.000Z"),
                                set("new", "2019-12-19T00:00:00.000Z"),
                                set("middle", "2019-06-01T00:00:00.000Z")};
};

TEST_F(Prune, TakesAllThatNothingUses) {
  EXPECT_THAT(chosen({}), ElementsAre("new", "middle", "old"));
}

TEST_F(Prune, LeavesWhatIsUsedOrUnderWayOrNotOurs) {
  sets_[0].view.used_by = {"chat"};
  sets_[1].view.state = FilesState::downloading;
  sets_[2].view.fetched = false;
  EXPECT_TRUE(chosen({}).empty());
  EXPECT_THAT(chosen({.others = true}), ElementsAre("middle"));
  sets_[2].view.writable = false;
  EXPECT_TRUE(chosen({.others = true}).empty());
}

TEST_F(Prune, TakesWhatIsOldEnough) {
  EXPECT_THAT(chosen({.older_than = 86'400ULL * 30}), ElementsAre("middle", "old"));
}

TEST_F(Prune, LeavesTheLastUsedUpToASize) {
  EXPECT_THAT(chosen({.keep = 250_B}), ElementsAre("old"));
  EXPECT_THAT(chosen({.keep = 99_B}), ElementsAre("new", "middle", "old"));
  EXPECT_TRUE(chosen({.keep = 300_B}).empty());
}

}  // namespace
}  // namespace berth::server
