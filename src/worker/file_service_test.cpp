#include "worker/file_service.h"

#include "formats/gguf_builder.h"
#include "net/testing.h"

#include <filesystem>
#include <fstream>
#include <future>
#include <semaphore>
#include <sys/stat.h>

#include <gtest/gtest.h>

namespace berth::worker {
namespace {

class FileServiceTest : public testing::Test {
 protected:
  FileServiceTest() {
    std::string name = (std::filesystem::temp_directory_path() / "berth-files-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    net::Router router;
    add_file_routes(router, service_);
    server_.emplace(std::move(router));
  }
  ~FileServiceTest() override {
    server_.reset();
    std::filesystem::remove_all(folder_);
  }

  net::Response ask(const std::string& path, const std::string& key = "key") {
    net::ClientRequest request;
    request.target = "/worker/v1/profile?path=" + net::percent_encode(path);
    request.headers.set("authorization", "Bearer " + key);
    return net::fetch_blocking(server_->endpoint(), std::move(request)).value();
  }

  std::filesystem::path folder_;
  FileService service_{"key"};
  std::optional<net::testing::RunningServer> server_;
};

TEST_F(FileServiceTest, NeedsItsKey) {
  EXPECT_EQ(ask("/x", "other").status, 401);
  EXPECT_EQ(ask("/x", "").status, 401);
}

TEST_F(FileServiceTest, TakesAbsolutePathsOnly) {
  for (const char* path : {"", "x.gguf", "../x", "./x"}) EXPECT_EQ(ask(path).status, 400) << path;
  EXPECT_EQ(ask(std::string(5000, '/')).status, 400);
}

TEST_F(FileServiceTest, SaysWhatIsNotThere) {
  const auto answer = ask(folder_ / "absent.gguf");
  EXPECT_EQ(answer.status, 404);
  EXPECT_NE(answer.body.find("absent.gguf"), std::string::npos);
}

TEST_F(FileServiceTest, ReadsRegularFilesOnly) {
  ASSERT_EQ(::mkfifo((folder_ / "pipe.gguf").c_str(), 0600), 0);
  EXPECT_EQ(ask(folder_ / "pipe.gguf").status, 400);
  EXPECT_EQ(ask("/dev/zero").status, 400);
}

TEST_F(FileServiceTest, TellsThePathThatAGlobMatches) {
  formats::small_model("llama", 2).write(folder_ / "m-Q4.gguf");
  const auto answer = ask(folder_ / "m-*.gguf");
  ASSERT_EQ(answer.status, 200) << answer.body;
  EXPECT_EQ(parse_json(answer.body).value().at("path").as_string(),
            (folder_ / "m-Q4.gguf").native());
  formats::small_model("llama", 2).write(folder_ / "m-Q8.gguf");
  EXPECT_EQ(ask(folder_ / "m-*.gguf").status, 400);
  EXPECT_EQ(ask(folder_ / "n-*.gguf").status, 404);
}

TEST_F(FileServiceTest, SaysWhatIsNoModel) {
  std::ofstream(folder_ / "text.gguf") << "just a text";
  const auto answer = ask(folder_ / "text.gguf");
  EXPECT_GE(answer.status, 400);
  EXPECT_NE(answer.body.find("text.gguf"), std::string::npos);
}

// Every reading thread waits for a disk, until it answers.
class HungFileServiceTest : public FileServiceTest {
 protected:
  HungFileServiceTest() {
    std::counting_semaphore<> begun(0);
    for (std::size_t i = 0; i < FileService::kThreads; ++i) {
      EXPECT_TRUE(service_.pool.try_post([&begun, answers = answers_] {
        begun.release();
        answers.wait();
      }));
      begun.acquire();
    }
  }
  ~HungFileServiceTest() override { disk_.set_value(); }

  std::promise<void> disk_;
  std::shared_future<void> answers_ = disk_.get_future().share();
};

TEST_F(HungFileServiceTest, RefusesFurtherQuestionsWhileItsDiskHangs) {
  while (service_.pool.try_post([answers = answers_] { answers.wait(); })) {
  }
  EXPECT_EQ(ask("/absent.gguf").status, 429);
}

TEST_F(HungFileServiceTest, SaysWhenADiskDoesNotAnswer) {
  service_.patience = std::chrono::milliseconds(30);
  const auto answer = ask("/late.gguf");
  EXPECT_EQ(answer.status, 504);
  EXPECT_NE(answer.body.find("/late.gguf"), std::string::npos);
  EXPECT_NE(answer.body.find("does its disk answer?"), std::string::npos);
}

}  // namespace
}  // namespace berth::worker
