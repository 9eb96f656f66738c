#include "sources/local.h"

#include "base/ids.h"

#include <fstream>
#include <sys/stat.h>

#include <gtest/gtest.h>

namespace berth::sources {
namespace {

TEST(NormaliseSource, MakesPathsAbsolute) {
  struct Case {
    std::string_view text, expected;
  };
  for (const Case& c : {Case{"/models/a.gguf", "/models/a.gguf"},
                        {"a.gguf", "/home/me/a.gguf"},
                        {"./a.gguf", "/home/me/a.gguf"},
                        {"../you/a.gguf", "/home/you/a.gguf"},
                        {"folder/", "/home/me/folder"},
                        {"/", "/"},
                        {".", "/home/me"},
                        {"C:model", "/home/me/C:model"},
                        {"file:/models/a.gguf", "/models/a.gguf"},
                        {"file:a.gguf", "/home/me/a.gguf"},
                        {"file:///models/a%20b.gguf", "/models/a b.gguf"},
                        {"file://localhost/models/a.gguf", "/models/a.gguf"}}) {
    const auto path = normalise_source(c.text, "/home/me");
    ASSERT_TRUE(path) << c.text << ": " << path.error().to_string();
    EXPECT_EQ(path->native(), c.expected) << c.text;
  }
}

TEST(NormaliseSource, SaysWhatToDoAboutAWebAddress) {
  for (const char* text : {"https://x/y.gguf", "HTTP://x/y.gguf?sign=secret"}) {
    const auto path = normalise_source(text, "/");
    ASSERT_FALSE(path) << text;
    EXPECT_EQ(path.error().code, ErrorCode::unsupported) << text;
    EXPECT_EQ(path.error().field, "source") << text;
    EXPECT_NE(path.error().message.find("local path"), std::string::npos) << text;
    EXPECT_EQ(path.error().message.find("secret"), std::string::npos) << text;
  }
}

TEST(NormaliseModel, TakesPathsAndTheNamesOfHubs) {
  EXPECT_EQ(normalise_model("a.gguf", "/m").value(), "/m/a.gguf");
  EXPECT_EQ(normalise_model("hf.co/org/model:q4_k_m", "/m").value(), "hf:org/model:q4_k_m");
  EXPECT_EQ(normalise_model("ollama:llama3", "relative").value(), "ollama:llama3");
  EXPECT_EQ(normalise_model("hf:../model", "/m").error().code, ErrorCode::invalid_parameter);
  EXPECT_EQ(normalise_model("https://x/y.gguf", "/m").error().code, ErrorCode::unsupported);
}

TEST(NormaliseSource, RefusesWhatIsNoPath) {
  using namespace std::string_view_literals;
  for (const auto text :
       {""sv, "hf:org/model"sv, "ollama:llama3"sv, "file:"sv, "a\0b"sv, "file:%00"sv, "file:a%2"sv,
        "file:a%zz"sv, "file://other/a"sv, "~"sv, "~/a.gguf"sv}) {
    const auto path = normalise_source(text, "/");
    ASSERT_FALSE(path) << text;
    EXPECT_EQ(path.error().code, ErrorCode::invalid_parameter) << text;
  }
  EXPECT_FALSE(normalise_source("a.gguf", "relative"));
}

class IdentifyFile : public testing::Test {
 protected:
  IdentifyFile() : folder_(std::filesystem::temp_directory_path() / ("berth-" + random_id())) {
    std::filesystem::create_directories(folder_);
  }
  ~IdentifyFile() override { std::filesystem::remove_all(folder_); }
  FileIdentity identify(const std::string& content) {
    std::ofstream(folder_ / "file") << content;
    return identify_file(folder_ / "file").value();
  }
  std::filesystem::path folder_;
};

TEST_F(IdentifyFile, ComparesSizeAndHeader) {
  const FileIdentity original = identify(std::string(100'000, 'a'));
  EXPECT_EQ(original.size, Bytes{100'000});
  EXPECT_EQ(original.header_sha256, sha256_hex(std::string(64 << 10, 'a')));
  EXPECT_GT(original.mtime, 0);
  EXPECT_TRUE(original.same_content(identify(std::string(100'000, 'a'))));
  EXPECT_FALSE(original.same_content(identify(std::string(100'001, 'a'))));
  EXPECT_FALSE(original.same_content(identify("b" + std::string(99'999, 'a'))));
}

TEST_F(IdentifyFile, ReadsShortFilesWhole) {
  EXPECT_EQ(identify("").header_sha256, sha256_hex(""));
  EXPECT_EQ(identify("abc").header_sha256, sha256_hex("abc"));
}

TEST_F(IdentifyFile, TakesRegularFilesOnly) {
  EXPECT_EQ(identify_file(folder_ / "absent").error().code, ErrorCode::not_found);
  EXPECT_EQ(identify_file(folder_).error().code, ErrorCode::invalid_parameter);
  ASSERT_EQ(::mkfifo((folder_ / "fifo").c_str(), 0600), 0);
  EXPECT_EQ(identify_file(folder_ / "fifo").error().code, ErrorCode::invalid_parameter);
}

}  // namespace
}  // namespace berth::sources
