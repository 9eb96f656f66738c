#include "sources/header_file.h"

#include "base/files.h"
#include "formats/gguf.h"
#include "formats/gguf_builder.h"
#include "sources/test_server.h"

#include <sys/stat.h>

#include <gmock/gmock.h>

namespace berth::sources {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::part_answer;
using testing::Peer;
using testing::Seen;
using testing::TestServer;

class HeaderFileTest : public ::testing::Test {
 protected:
  HeaderFileTest() {
    auto builder = formats::small_model();
    builder.tensor("large.weight", {1024, 4096});  // 16 MiB
    const auto bytes = builder.build();
    file_.reserve(bytes.size());
    for (const std::byte byte : bytes) file_ += static_cast<char>(byte);
    fs::create_directories(folder_);
  }
  ~HeaderFileTest() override { fs::remove_all(folder_); }

  Result<HeaderFile> fetch(const HeaderOptions& options = {}) {
    return fetch_header(server_.url("/m.gguf?sign=secret"), to_, options);
  }

  fs::path folder_ = fs::path(::testing::TempDir()) / fmt::format("header-{}", ::getpid());
  fs::path to_ = folder_ / "model.gguf";
  std::string file_;
  TestServer server_{[this](Peer& peer, const Seen& request) {
    peer.send(part_answer(request, file_, "ETag: \"1\"\r\n"));
  }};
};

TEST_F(HeaderFileTest, IsAsLongAsTheWholeAndHasItsHeaderAlone) {
  const auto fetched = fetch({.size = Bytes{file_.size()}});
  ASSERT_TRUE(fetched) << fetched.error().to_string();
  EXPECT_EQ(fetched->size, Bytes{file_.size()});
  EXPECT_EQ(fs::file_size(to_), file_.size());
  const auto content = read_file(to_, 64_MiB).value();
  const auto header = fetched->header.count;
  EXPECT_EQ(content.substr(0, header), file_.substr(0, header));
  struct stat facts{};
  ASSERT_EQ(::stat(to_.c_str(), &facts), 0);
  EXPECT_LT(facts.st_blocks * 512, 1 << 20) << "the rest is a hole";
  EXPECT_EQ(facts.st_mode & 0777U, 0600U);
  EXPECT_LT(server_.sent(), 2U << 20U) << "no tensors are fetched";
  const auto source = formats::open_file(to_).value();
  EXPECT_TRUE(formats::read_gguf(*source, "m"));
}

TEST_F(HeaderFileTest, OfAFileOfAnotherSizeIsRefused) {
  const auto fetched = fetch({.size = 7_B});
  ASSERT_FALSE(fetched);
  EXPECT_EQ(fetched.error().code, ErrorCode::corrupt);
  EXPECT_THAT(fetched.error().message, AllOf(HasSubstr("should have 7"), Not(HasSubstr("secret"))));
  EXPECT_FALSE(fs::exists(to_));
}

TEST_F(HeaderFileTest, LeavesNothingOfWhatIsNoModel) {
  file_ = std::string(1 << 20, 'x');
  EXPECT_EQ(fetch().error().code, ErrorCode::unsupported);
  EXPECT_FALSE(fs::exists(to_));
}

TEST_F(HeaderFileTest, WritesOverNothing) {
  ASSERT_TRUE(fetch());
  EXPECT_EQ(fetch().error().code, ErrorCode::io);
  EXPECT_EQ(fs::file_size(to_), file_.size());
}

}  // namespace
}  // namespace berth::sources
