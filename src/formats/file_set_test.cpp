#include "formats/file_set.h"

#include <filesystem>
#include <fstream>
#include <sys/stat.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::formats {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;

class FolderTest : public testing::Test {
 protected:
  FolderTest() {
    std::string name = (fs::temp_directory_path() / "berth-set-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
  }
  ~FolderTest() override { fs::remove_all(folder_); }

  void put(const std::string& path, const std::string& text = "x") {
    fs::create_directories((folder_ / path).parent_path());
    std::ofstream(folder_ / path) << text;
  }
  std::vector<std::string> paths() {
    std::vector<std::string> found;
    const auto listed = list_folder(folder_);
    for (const auto& file : listed.value()->files()) found.push_back(file.path);
    return found;
  }

  fs::path folder_;
};

TEST_F(FolderTest, ListsFilesTwoFoldersDeepWithoutHiddenOnes) {
  for (const char* path : {"b.bin", "a/c.bin", "a/b/d.bin", "a/b/c/e.bin", ".git/x", ".hidden"}) {
    put(path);
  }
  EXPECT_THAT(paths(), ElementsAre("a/b/d.bin", "a/c.bin", "b.bin"));
}

TEST_F(FolderTest, FollowsLinksAndLeavesOutWhatIsNoFile) {
  put("real.bin", "1234");
  fs::create_symlink(folder_ / "real.bin", folder_ / "link.bin");
  fs::create_symlink(folder_ / "absent", folder_ / "broken.bin");
  ASSERT_EQ(::mkfifo((folder_ / "pipe").c_str(), 0600), 0);
  EXPECT_THAT(paths(), ElementsAre("link.bin", "real.bin"));
  const auto listed = list_folder(folder_);
  EXPECT_EQ(listed.value()->find("link.bin")->size, 4_B);
}

TEST_F(FolderTest, OpensAndLocatesAFile) {
  put("a/config.json", R"({"x": 1})");
  const auto listed = list_folder(folder_);
  const FileSet& files = **listed;
  EXPECT_EQ(read_text(files, "a/config.json"), R"({"x": 1})");
  EXPECT_EQ(files.locate("a/config.json"), (folder_ / "a/config.json").native());
  EXPECT_FALSE(files.contains("config.json"));
}

TEST_F(FolderTest, NamesAFolderThatIsNotThere) {
  const auto listed = list_folder(folder_ / "absent");
  ASSERT_FALSE(listed);
  EXPECT_EQ(listed.error().code, ErrorCode::not_found);
}

TEST(ReadJson, TakesPythonsNumbersForNull) {
  const auto files = files_in_memory(
      {{"a.json", R"({"x": NaN, "y": [-Infinity, Infinity], "text": "NaN \" Infinity"})"}});
  const auto object = read_json(*files, "a.json");
  ASSERT_TRUE(object);
  EXPECT_TRUE(object->at("x").is_null());
  EXPECT_TRUE(object->at("y").at(0).is_null());
  EXPECT_EQ(object->at("text"), "NaN \" Infinity");
}

TEST(ReadJson, NamesWhatIsNoObject) {
  const auto files = files_in_memory({{"list.json", "[1]"}, {"cut.json", "{\"x\":"}});
  EXPECT_EQ(read_json(*files, "list.json").error().code, ErrorCode::corrupt);
  const auto cut = read_json(*files, "cut.json");
  EXPECT_NE(cut.error().message.find("cut.json"), std::string::npos);
  EXPECT_EQ(read_json(*files, "absent.json").error().code, ErrorCode::not_found);
}

TEST(ReadJson, RefusesWhatIsTooLarge) {
  const auto files = files_in_memory({{"a.json", std::string(100, ' ')}});
  EXPECT_EQ(read_json(*files, "a.json", 99_B).error().code, ErrorCode::too_large);
}

}  // namespace
}  // namespace berth::formats
