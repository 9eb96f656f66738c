// The folders that other tools fill: GPUStack's cache.
#include "sources/cache/cache_test_support.h"

namespace berth::sources {
namespace {

namespace fs = std::filesystem;

using testing::Contents;
using testing::file_of;
using testing::files_of;
using ::testing::IsEmpty;
using testing::kCommit;
using testing::TestServer;

const Contents kModel{{"config.json", "{}"}, {"sub/model.gguf", file_of(1000)}};

class OtherPlaces : public testing::CacheTest {
 protected:
  void fill(Hub hub) {
    for (const auto& [path, content] : kModel) put(place(hub) / path, content);
  }
  // As huggingface_hub writes it; the time is some seconds after the file's.
  void write_metadata(const std::string& path, const std::string& etag, int later = 5) {
    const auto changed =
        std::chrono::file_clock::to_sys(fs::last_write_time(place(Hub::hugging_face) / path));
    const auto time =
        std::chrono::duration_cast<std::chrono::seconds>(changed.time_since_epoch()).count() +
        later;
    put(place(Hub::hugging_face) / ".cache/huggingface/download" / (path + ".metadata"),
        fmt::format("{}\n{}\n{}.25\n", kCommit, etag, time));
  }
  [[nodiscard]] fs::path place(Hub hub) const {
    return places_.others[0] / (hub == Hub::model_scope ? "model_scope" : "huggingface") /
           "org/na.me";
  }
  model::RepositoryFiles files_ = files_of(Hub::hugging_face, kModel);
};

TEST_F(OtherPlaces, AreTakenByWhatHuggingFacesToolsWroteDown) {
  fill(Hub::hugging_face);
  EXPECT_FALSE(is_cached(files_));
  for (const auto& file : files_.files) write_metadata(file.path, file.digest.hex);
  const auto found = find_cached(files_, places_);
  ASSERT_TRUE(found && *found);
  EXPECT_EQ((*found)->folder, place(Hub::hugging_face));
  write_metadata("config.json", files_.files[1].digest.hex);
  EXPECT_FALSE(is_cached(files_)) << "of another digest";
  write_metadata("config.json", files_.files[0].digest.hex, -5);
  EXPECT_FALSE(is_cached(files_)) << "written since";
  write_metadata("config.json", files_.files[0].digest.hex);
  EXPECT_TRUE(is_cached(files_));
  put(place(Hub::hugging_face) / "config.json", "{} ");
  EXPECT_FALSE(is_cached(files_)) << "of another size";
}

TEST_F(OtherPlaces, AreReadOnceWhereNothingIsWrittenDown) {
  const TestServer server(hub_with(kModel));
  for (const Hub hub : {Hub::hugging_face, Hub::model_scope}) {
    const auto files = files_of(hub, kModel);
    fill(hub);
    const auto before = tree(place(hub));
    EXPECT_FALSE(is_cached(files));
    const auto fetched = fetch(server, files);
    ASSERT_TRUE(fetched) << fetched.error().to_string();
    EXPECT_EQ(fetched->folder, place(hub));
    EXPECT_TRUE(is_cached(files));
    EXPECT_EQ(tree(place(hub)), before);  // nothing is written there
    EXPECT_TRUE(remove_cached(files, places_));
    EXPECT_TRUE(is_cached(files));  // nor removed
  }
  EXPECT_THAT(server.seen(), IsEmpty());
}

TEST_F(OtherPlaces, AreNotTakenWhereTheContentIsAnother) {
  const TestServer server(hub_with(kModel));
  fill(Hub::hugging_face);
  put(place(Hub::hugging_face) / "config.json", "[]");
  const auto fetched = fetch(server, files_);
  ASSERT_TRUE(fetched) << fetched.error().to_string();
  EXPECT_EQ(fetched->folder.parent_path().filename(), "snapshots");
  EXPECT_EQ(text_of(fetched->paths.at("config.json")), "{}");
}

TEST_F(OtherPlaces, AreNotLeftThroughALink) {
  fill(Hub::hugging_face);
  for (const auto& file : files_.files) write_metadata(file.path, file.digest.hex);
  ASSERT_TRUE(is_cached(files_));
  fs::rename(place(Hub::hugging_face) / "config.json", folder_ / "config.json");
  link(place(Hub::hugging_face) / "config.json", folder_ / "config.json");
  EXPECT_FALSE(is_cached(files_));
}

TEST_F(OtherPlaces, AreListedAsNotOurs) {
  fill(Hub::hugging_face);
  fill(Hub::model_scope);
  put(place(Hub::model_scope) / ".msc", "x");
  for (const auto& file : files_.files) write_metadata(file.path, file.digest.hex);
  const auto all = list_caches(places_);
  ASSERT_EQ(all.size(), 2);
  EXPECT_EQ(all[0].commit, kCommit);
  EXPECT_EQ(all[0].files, files_.files);
  EXPECT_FALSE(all[0].writable);
  EXPECT_EQ(all[1].hub, Hub::model_scope);
  EXPECT_EQ(all[1].commit, "");
  EXPECT_EQ(all[1].files.size(), 2);
  const auto listing = list_cached(parse_hub_name("hf:org/na.me").value(), places_);
  ASSERT_TRUE(listing);
  EXPECT_EQ(listing->commit, kCommit);
  EXPECT_FALSE(list_cached(parse_hub_name("hf:org/na.me@v1").value(), places_));
}

}  // namespace
}  // namespace berth::sources
