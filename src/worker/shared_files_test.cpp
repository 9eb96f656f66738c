#include "worker/shared_files.h"

#include "base/files.h"
#include "base/ids.h"
#include "net/client.h"
#include "net/testing.h"
#include "sources/download/content_hash.h"

#include <filesystem>
#include <future>
#include <optional>
#include <span>

#include <gtest/gtest.h>

namespace berth::worker {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kCommit = "0123456789abcdef0123456789abcdef01234567";
constexpr std::string_view kKey = "agent-key";

// A worker with one model, "model.gguf" and an empty file, in Hugging Face's cache.
class SharedFilesTest : public ::testing::Test {
 protected:
  SharedFilesTest() : folder_(fs::temp_directory_path() / ("berth-shared-" + random_id())) {
    places_.hugging_face = folder_ / "hub";
    put("empty.txt", "");
    put("model.gguf", content_);
    options_.fetch = [this](const model::RepositoryFiles& files,
                            const sources::FetchOptions&) -> Result<sources::LocalFiles> {
      BERTH_TRY(auto found, sources::find_cached(files, places_));
      if (!found) return fail(ErrorCode::not_found, "not there");
      return *std::move(found);
    };
    options_.remove = [](const auto&) -> Result<Bytes> { return Bytes{}; };
    options_.notes = folder_ / "notes";
    model_files_.emplace(options_);
    service_.emplace(std::string(kKey), *model_files_, places_,
                     [this](cluster::PeerWish wish) { return check(std::move(wish)); });
    net::Router router;
    add_shared_file_routes(router, *service_);
    server_.emplace(std::move(router));
  }
  ~SharedFilesTest() override {
    server_.reset();
    service_.reset();
    ticket_.reset();
    model_files_.reset();
    fs::remove_all(folder_);
  }

  void put(const std::string& path, const std::string& text) {
    auto hash = sources::ContentHash::begin(model::DigestKind::sha256, {text.size()}).value();
    hash.add(std::as_bytes(std::span(text)));
    const model::FileDigest digest{model::DigestKind::sha256, hash.finish()};
    const auto repository = places_.hugging_face / "models--org--m";
    const auto at = repository / "snapshots" / kCommit / path;
    fs::create_directories(repository / "blobs");
    fs::create_directories(at.parent_path());
    ASSERT_TRUE(write_file_atomic(repository / "blobs" / digest.hex, text));
    fs::create_symlink("../../blobs/" + digest.hex, at);
    files_.files.push_back({.path = path, .size = {text.size()}, .digest = digest});
  }
  // Makes the model wanted here, and waits until it is known to be there.
  void want() {
    std::promise<void> ended;
    ticket_ = model_files_->want(files_, [&] { ended.set_value(); });
    ASSERT_EQ(ended.get_future().wait_for(std::chrono::seconds(20)), std::future_status::ready);
  }

  net::Task<Result<void>> check(cluster::PeerWish wish) {
    wishes_.push_back(wish);
    if (wish.name == "berth://c/worker/b") co_return Result<void>{};
    co_return fail(ErrorCode::permission_denied, "{} needs no such files", wish.name);
  }

  [[nodiscard]] std::string key() const { return model::files_key(files_); }
  net::Response get(const std::string& target, const std::string& range = "",
                    std::string_view who = "berth://c/worker/b", std::string_view access = kKey) {
    net::ClientRequest request{.target = target};
    request.headers.set("authorization", fmt::format("Bearer {}", access));
    if (!who.empty()) request.headers.set(cluster::kPeerNameHeader, who);
    if (!range.empty()) request.headers.set("range", range);
    auto answer = net::fetch_blocking(server_->endpoint(), std::move(request));
    EXPECT_TRUE(answer) << answer.error().to_string();
    return answer.value_or(net::Response{.status = 0});
  }
  net::Response get_model(const std::string& range = "") {
    return get("/peer/v1/files/" + key() + "/1", range);
  }

  const std::string content_ = std::string(1'500'000, 'm') + "end";  // several pieces
  fs::path folder_;
  sources::CachePlaces places_;
  model::RepositoryFiles files_{.source = "hf:org/m",
                                .hub = model::Hub::hugging_face,
                                .repository = "org/m",
                                .revision = "",
                                .commit = std::string(kCommit),
                                .files = {}};
  ModelFilesOptions options_;
  std::optional<ModelFiles> model_files_;
  std::shared_ptr<ModelFiles::Ticket> ticket_;
  std::optional<SharedFiles> service_;
  std::vector<cluster::PeerWish> wishes_;
  std::optional<net::testing::RunningServer> server_;
};

TEST_F(SharedFilesTest, GivesFilesWholeAndByRanges) {
  want();
  EXPECT_EQ(get("/peer/v1/files/" + key()).body, R"({"files":2})");
  const auto whole = get_model();
  EXPECT_EQ(whole.status, 200);
  EXPECT_EQ(whole.body, content_);
  const auto part = get_model("bytes=1499990-1499999");
  EXPECT_EQ(part.status, 206);
  EXPECT_EQ(part.body, std::string(10, 'm'));
  EXPECT_EQ(part.headers.get("content-range"), "bytes 1499990-1499999/1500003");
  EXPECT_EQ(get_model("bytes=1500000-").body, "end");
  EXPECT_EQ(get_model("bytes=1500000-99999999").body, "end");
  const auto beyond = get_model("bytes=1500003-1500004");
  EXPECT_EQ(beyond.status, 416);
  EXPECT_EQ(beyond.headers.get("content-range"), "bytes */1500003");
  EXPECT_EQ(get("/peer/v1/files/" + key() + "/0").body, "");
  EXPECT_EQ(get("/peer/v1/files/" + key() + "/2").status, 404);
  EXPECT_EQ(get("/peer/v1/files/" + key() + "/x").status, 404);
}

TEST_F(SharedFilesTest, IgnoresRangesThatItDoesNotKnow) {
  want();
  for (const char* range : {"bytes=-5", "bytes=5-2", "bytes=0-1,3-4", "lines=0-1", "bytes="}) {
    const auto answer = get_model(range);
    EXPECT_EQ(answer.status, 200) << range;
    EXPECT_EQ(answer.body.size(), content_.size()) << range;
  }
}

TEST_F(SharedFilesTest, AsksTheServerWhoMayReadOnceAMinute) {
  want();
  EXPECT_EQ(get_model().status, 200);
  EXPECT_EQ(get_model().status, 200);
  EXPECT_EQ(wishes_.size(), 1);
  EXPECT_EQ(wishes_.front().files, key());
  EXPECT_EQ(get("/peer/v1/files/" + key(), "", "berth://c/worker/stranger").status, 403);
  EXPECT_EQ(get("/peer/v1/files/" + key(), "", "").status, 403) << "nobody";
  EXPECT_EQ(get("/peer/v1/files/" + key(), "", "berth://c/worker/b", "another-key").status, 401);
}

TEST_F(SharedFilesTest, TheServerNeedsNoLeave) {
  want();
  EXPECT_EQ(get("/worker/v1/shared/" + key() + "/1").body.size(), content_.size());
  EXPECT_TRUE(wishes_.empty());
  EXPECT_EQ(get("/worker/v1/shared/" + key(), "", "", "another-key").status, 401);
}

TEST_F(SharedFilesTest, SharesNothingThatWasNotAskedForHere) {
  EXPECT_EQ(get("/peer/v1/files/" + key()).status, 404) << "it is there, and nobody wanted it";
  EXPECT_EQ(get("/peer/v1/files/0123456789abcdef").status, 404);
  EXPECT_EQ(get("/peer/v1/files/..%2F..%2Fsecret").status, 404);
}

TEST_F(SharedFilesTest, WhatIsGoneIsNotShared) {
  want();
  fs::remove_all(places_.hugging_face / "models--org--m");
  EXPECT_EQ(get("/peer/v1/files/" + key()).status, 404);
}

TEST_F(SharedFilesTest, AFileThatBecameAnotherIsNotSent) {
  want();
  EXPECT_EQ(get_model().status, 200);
  const auto blob = places_.hugging_face / "models--org--m/blobs" / files_.files.back().digest.hex;
  fs::resize_file(blob, 10);
  EXPECT_EQ(get_model().status, 409);
}

}  // namespace
}  // namespace berth::worker
