#include "sources/local_model.h"

#include "base/ids.h"
#include "formats/gguf_builder.h"

#include <fstream>
#include <sys/stat.h>

#include <gmock/gmock.h>
#include <unistd.h>

namespace berth::sources {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using ::testing::Not;

class ResolveGlob : public ::testing::Test {
 protected:
  ResolveGlob() : folder_(fs::temp_directory_path() / ("berth-" + random_id())) {
    fs::create_directories(folder_);
  }
  ~ResolveGlob() override { fs::remove_all(folder_); }

  void make(const std::string& name) const {
    fs::create_directories((folder_ / name).parent_path());
    std::ofstream(folder_ / name) << "x";
  }
  // Relative to the folder again, or the code of what was refused.
  [[nodiscard]] std::string resolve(const std::string& glob) const {
    const auto found = resolve_glob(folder_ / glob);
    if (found) return found->lexically_relative(folder_);
    EXPECT_EQ(found.error().field, "source") << glob;
    return std::string(name_of(found.error().code));
  }

  fs::path folder_;
};

TEST_F(ResolveGlob, MatchesOneFileOrFolder) {
  for (const char* name : {"a/big.gguf", "a/notes.txt", "b/x1.gguf", "b/x2.gguf"}) make(name);
  EXPECT_EQ(resolve("a/*.gguf"), "a/big.gguf");
  EXPECT_EQ(resolve("?/big.*"), "a/big.gguf");
  EXPECT_EQ(resolve("*/x[2-9].gguf"), "b/x2.gguf");
  EXPECT_EQ(resolve("[!a]"), "b");
}

TEST_F(ResolveGlob, LeavesPathsWithoutWildcardsAlone) { EXPECT_EQ(resolve("absent"), "absent"); }

TEST_F(ResolveGlob, TakesNamesThatAreThereLiterally) {
  for (const char* name : {"a[1].gguf", "a1.gguf", "[old]/m.gguf", "o/m.gguf", "*", "**"}) {
    make(name);
  }
  EXPECT_EQ(resolve("a[1].gguf"), "a[1].gguf");
  EXPECT_EQ(resolve("[old]/*.gguf"), "[old]/m.gguf");
  EXPECT_EQ(resolve("*"), "*");
  fs::remove(folder_ / "a[1].gguf");
  EXPECT_EQ(resolve("a[1].gguf"), "a1.gguf");
}

TEST_F(ResolveGlob, TakesTheFirstPartOfASplitModel) {
  for (const char* name : {"q-00002-of-00003.gguf", "q-00001-of-00003.gguf",
                           "q-00003-of-00003.gguf", "r-00001-of-00002.gguf"}) {
    make(name);
  }
  EXPECT_EQ(resolve("q*.gguf"), "q-00001-of-00003.gguf");
  EXPECT_EQ(resolve("q*-0000[23]-of-*.gguf"), "q-00002-of-00003.gguf");
  EXPECT_EQ(resolve("r*-00001-of-*.gguf"), "r-00001-of-00002.gguf");
  EXPECT_EQ(resolve("*.gguf"), "invalid_parameter");
  make("q-00001-of-00002.gguf");
  EXPECT_EQ(resolve("q*.gguf"), "invalid_parameter");
}

TEST_F(ResolveGlob, LeavesOutAProjectorBesideTheModel) {
  for (const char* name : {"vision.gguf", "mmproj-F16.gguf"}) make(name);
  EXPECT_EQ(resolve("*.gguf"), "vision.gguf");
  EXPECT_EQ(resolve("mm*.gguf"), "mmproj-F16.gguf");
}

TEST_F(ResolveGlob, ListsTenOfTheModelsThatMatch) {
  for (int i = 10; i < 22; ++i) make(fmt::format("m{}.gguf", i));
  const auto found = resolve_glob(folder_ / "m*.gguf");
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::invalid_parameter);
  EXPECT_THAT(found.error().message, HasSubstr("matches 12 models"));
  EXPECT_THAT(found.error().message, HasSubstr((folder_ / "m19.gguf").string() + " and 2 more"));
  EXPECT_THAT(found.error().message, Not(HasSubstr("m20")));
}

TEST_F(ResolveGlob, SaysThatNothingMatches) {
  make("a.txt");
  EXPECT_EQ(resolve("*.gguf"), "not_found");
  EXPECT_EQ(resolve("absent/*.gguf"), "not_found");
  EXPECT_EQ(resolve("a.txt/*"), "not_found");
  EXPECT_EQ(resolve("a.*/x"), "not_found");
}

TEST_F(ResolveGlob, ExpandsNothingElse) {
  for (const char* name : {".hidden.gguf", "{a,b}.gguf", "sub/.h/m.gguf"}) make(name);
  EXPECT_EQ(resolve("[a]{a,b}*"), "not_found");
  EXPECT_EQ(resolve("~*"), "not_found");
  EXPECT_EQ(resolve("$(touch x)*"), "not_found");
  EXPECT_EQ(resolve("sub/*/m.gguf"), "not_found");
  EXPECT_EQ(resolve("*.gguf"), "{a,b}.gguf");
}

TEST_F(ResolveGlob, MatchesRegularFilesAndFoldersOnly) {
  ASSERT_EQ(::mkfifo((folder_ / "pipe.gguf").c_str(), 0600), 0);
  fs::create_symlink("/dev/zero", folder_ / "zero.gguf");
  fs::create_symlink("nowhere", folder_ / "dangling.gguf");
  fs::create_symlink("dangling.gguf", folder_ / "chain.gguf");
  make("line\nend.gguf");
  make("broken\xff.gguf");
  EXPECT_EQ(resolve("*.gguf"), "not_found");
  EXPECT_EQ(resolve("pipe*/*"), "not_found");
  make("real");
  fs::create_symlink("real", folder_ / "link.gguf");
  EXPECT_EQ(resolve("*.gguf"), "link.gguf");
}

TEST_F(ResolveGlob, NamesAFolderThatItMayNotRead) {
  if (::geteuid() == 0) GTEST_SKIP() << "root may read everything";
  make("closed/m.gguf");
  fs::permissions(folder_ / "closed", fs::perms::none);
  const auto found = resolve_glob(folder_ / "closed/*.gguf");
  fs::permissions(folder_ / "closed", fs::perms::owner_all);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, ErrorCode::permission_denied);
  EXPECT_THAT(found.error().to_string(), HasSubstr((folder_ / "closed").string()));
}

TEST_F(ResolveGlob, LooksAtSoManyEntriesOnly) {
  // Links to the folder itself multiply: 60 entries, 60 * 60, 60 * 60 * 60.
  for (int i = 0; i < 60; ++i) {
    fs::create_directory_symlink(folder_, folder_ / fmt::format("d{}", i));
  }
  EXPECT_EQ(resolve("*/*/*/m.gguf"), "too_large");
}

TEST_F(ResolveGlob, TellsThePathBesideTheProfile) {
  formats::small_model("llama", 2).write(folder_ / "m-Q4.gguf");
  const auto found = profile_local(folder_ / "m-*.gguf");
  ASSERT_TRUE(found) << found.error().to_string();
  EXPECT_EQ(found->path, folder_ / "m-Q4.gguf");
  EXPECT_EQ(found->profile.layer_count, 2U);
}

}  // namespace
}  // namespace berth::sources
