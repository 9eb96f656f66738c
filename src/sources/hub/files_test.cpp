#include "sources/hub/files.h"

#include <gmock/gmock.h>

namespace berth::sources {
namespace {

using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;

const std::string kSha(64, 'a');
const std::string kCommit(40, 'c');

HubListing listing_of(std::string_view name) {
  return {.name = parse_hub_name(name).value(),
          .commit = kCommit,
          .files = {{.path = "a b.gguf", .size = {7}, .digest = {DigestKind::sha256, kSha}},
                    {.path = "c.json", .size = {2}},
                    {.path = "d/e.json", .size = {3}}}};
}

TEST(FilesOf, TakesThePathsOfTheListingEachOnceAndSorted) {
  const auto files = files_of(listing_of("hf:o/m:Q4_K_M@v1"), {"d/e.json", "a b.gguf", "d/e.json"});
  ASSERT_TRUE(files) << files.error().to_string();
  EXPECT_EQ(files->source, "hf:o/m:Q4_K_M@v1");
  EXPECT_EQ(files->repository, "o/m");
  EXPECT_EQ(files->revision, "v1");
  EXPECT_EQ(files->commit, kCommit);
  EXPECT_THAT(files->files, ElementsAre(Field(&model::RepositoryFile::path, "a b.gguf"),
                                        Field(&model::RepositoryFile::path, "d/e.json")));
  EXPECT_EQ(files->files[0].digest, (HubDigest{DigestKind::sha256, kSha}));
  EXPECT_EQ(total_size(*files), 10_B);
}

TEST(FilesOf, FailsForAPathThatIsNotListed) {
  const auto files = files_of(listing_of("hf:o/m"), {"x"});
  ASSERT_FALSE(files);
  EXPECT_EQ(files.error().code, ErrorCode::not_found);
  EXPECT_THAT(files.error().message, HasSubstr("hf:o/m: the repository has no file \"x\""));
}

TEST(UrlOf, IsAtTheMachinesOwnEndpoint) {
  HubSettings settings;
  settings.hugging_face.endpoint = "https://mirror/hf";
  const auto url = [&](std::string_view name) {
    const auto files = files_of(listing_of(name), {"a b.gguf"}).value();
    return url_of(files, files.files[0], settings);
  };
  EXPECT_EQ(url("hf:o/m@v1"), "https://mirror/hf/o/m/resolve/" + kCommit + "/a%20b.gguf");
  EXPECT_EQ(url("ms:o/m"),
            "https://www.modelscope.cn/api/v1/models/o/m/repo?Revision=master&FilePath=a%20b.gguf");
  EXPECT_EQ(url("ollama:m"), "https://registry.ollama.ai/v2/library/m/blobs/sha256:" + kSha);
}

}  // namespace
}  // namespace berth::sources
