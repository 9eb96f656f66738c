#include "worker/model_files.h"

#include <condition_variable>
#include <cstdlib>
#include <filesystem>
#include <future>
#include <mutex>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::worker {
namespace {

using model::FilesState;
using ::testing::HasSubstr;

constexpr std::chrono::seconds kPatience{20};

model::RepositoryFiles files_named(const std::string& name) {
  return {.source = "hf:o/" + name,
          .hub = model::Hub::hugging_face,
          .repository = "o/" + name,
          .revision = "",
          .commit = "c0ffee",
          .files = {{.path = "m.gguf", .size = 100_B, .digest = {}}}};
}

// A hub whose downloads end when the test says so.
class ModelFilesTest : public ::testing::Test {
 protected:
  ModelFilesTest() {
    std::string name = (std::filesystem::temp_directory_path() / "berth-fetched-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    open();
  }
  ~ModelFilesTest() override {
    files_.reset();
    std::filesystem::remove_all(folder_);
  }

  void open(std::size_t at_once = 2) {
    files_.reset();
    files_.emplace(ModelFilesOptions{
        .fetch = [this](const auto& files, const auto& options) { return fetch(files, options); },
        .remove = [](const auto& files) -> Result<Bytes> { return model::total_size(files); },
        .notes = folder_ / "notes",
        .at_once = at_once,
        .first_pause = Duration(1),
        .longest_pause = Duration(2),
        .on_change = [this] { tell(); }});
  }

  ModelFiles::Outcome fetch(const model::RepositoryFiles& files,
                            const sources::FetchOptions& options) {
    if (options.on_progress) options.on_progress({.done = 40_B, .total = 100_B, .per_second = 6_B});
    const std::stop_callback on_stop(options.stop, [this] { tell(); });
    std::unique_lock lock(mutex_);
    ++running_;
    ++begun_;
    most_ = std::max(most_, running_);
    changed_.notify_all();
    changed_.wait(lock,
                  [&] { return answers_.contains(files.source) || options.stop.stop_requested(); });
    --running_;
    const auto answer = answers_.find(files.source);
    if (answer == answers_.end()) return fail(ErrorCode::cancelled, "stopped");
    ModelFiles::Outcome outcome = answer->second;
    if (!outcome) answers_.erase(answer);  // once
    return outcome;
  }

  void answer(const std::string& name, ModelFiles::Outcome outcome) {
    {
      const std::scoped_lock lock(mutex_);
      answers_.insert_or_assign("hf:o/" + name, std::move(outcome));
    }
    tell();
  }
  void succeed(const std::string& name) {
    answer(name, sources::LocalFiles{.folder = "/c/" + name, .paths = {}, .was_fetched = true});
  }
  void tell() {
    {
      const std::scoped_lock lock(mutex_);
    }
    changed_.notify_all();
  }

  // Waits until `condition`, looked at whenever something changed.
  template <class Condition>
  bool comes(Condition condition) {
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (!condition()) {
      if (std::chrono::steady_clock::now() > end) return false;
      std::unique_lock lock(mutex_);
      changed_.wait_for(lock, std::chrono::milliseconds(20));
    }
    return true;
  }
  bool is(const std::string& name, FilesState state) {
    return comes([&] {
      for (const auto& status : files_->list()) {
        if (status.source == "hf:o/" + name) return status.state == state;
      }
      return false;
    });
  }
  bool begins(int count) {
    return comes([&] {
      const std::scoped_lock lock(mutex_);
      return begun_ >= count;
    });
  }
  std::shared_ptr<ModelFiles::Ticket> want(const std::string& name) {
    return files_->want(files_named(name), {});
  }

  std::filesystem::path folder_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<std::string, ModelFiles::Outcome> answers_;
  int running_ = 0;
  int begun_ = 0;
  int most_ = 0;
  std::optional<ModelFiles> files_;
};

TEST_F(ModelFilesTest, FetchesWhatIsWantedAndTellsHowFarItIs) {
  std::promise<void> ended;
  const auto ticket = files_->want(files_named("a"), [&ended] { ended.set_value(); });
  ASSERT_TRUE(is("a", FilesState::downloading));
  ASSERT_TRUE(comes([&] { return ticket->status().per_second.count != 0; }));
  EXPECT_FALSE(ticket->outcome());
  const auto status = ticket->status();
  EXPECT_EQ(status.done, 40_B);
  EXPECT_EQ(status.total, 100_B);
  EXPECT_EQ(status.seconds_left, 10);
  EXPECT_THAT(model::describe(status), HasSubstr("40 B of 100 B, 6 B/s, 10s left"));
  succeed("a");
  ASSERT_EQ(ended.get_future().wait_for(kPatience), std::future_status::ready);
  EXPECT_EQ(ticket->outcome()->value().folder, "/c/a");
  EXPECT_TRUE(is("a", FilesState::ready));
  const auto notes = files_->notes();
  ASSERT_EQ(notes.size(), 1U);
  EXPECT_EQ(notes.front().files.source, "hf:o/a");
  EXPECT_EQ(notes.front().folder, "/c/a");
}

TEST_F(ModelFilesTest, NotesNothingOfWhatOthersPutThere) {
  const auto ticket = want("a");
  answer("a", sources::LocalFiles{.folder = "/c/a", .paths = {}});
  ASSERT_TRUE(comes([&] { return ticket->outcome().has_value(); }));
  EXPECT_TRUE(ticket->outcome()->has_value());
  EXPECT_TRUE(files_->notes().empty());
}

TEST_F(ModelFilesTest, FetchesTheSameFilesOnceHoweverManyWantThem) {
  const auto one = want("a");
  const auto other = want("a");
  ASSERT_TRUE(begins(1));
  succeed("a");
  ASSERT_TRUE(comes([&] { return one->outcome() && other->outcome(); }));
  EXPECT_EQ(begun_, 1);
}

TEST_F(ModelFilesTest, LetsTheOthersWaitForTheirTurn) {
  open(1);
  const auto one = want("a");
  ASSERT_TRUE(begins(1));
  const auto other = want("b");
  EXPECT_EQ(other->status().state, FilesState::queued);
  EXPECT_EQ(other->status().reason, "waits for its turn");
  succeed("a");
  succeed("b");
  ASSERT_TRUE(comes([&] { return other->outcome().has_value(); }));
  EXPECT_EQ(most_, 1);
}

TEST_F(ModelFilesTest, TriesAgainWhatMayPass) {
  const auto ticket = want("a");
  answer("a", fail(ErrorCode::unavailable, "no space: 5 GiB are missing"));
  ASSERT_TRUE(begins(2));
  EXPECT_FALSE(ticket->outcome());
  succeed("a");
  ASSERT_TRUE(comes([&] { return ticket->outcome().has_value(); }));
  EXPECT_TRUE(ticket->outcome()->has_value());
}

TEST_F(ModelFilesTest, TellsWhatDoesNotPass) {
  const auto ticket = want("a");
  answer("a", fail(ErrorCode::corrupt, "m.gguf has another digest"));
  ASSERT_TRUE(comes([&] { return ticket->outcome().has_value(); }));
  EXPECT_EQ(ticket->outcome()->error().code, ErrorCode::corrupt);
  EXPECT_TRUE(is("a", FilesState::failed));
  EXPECT_THAT(ticket->status().reason, HasSubstr("another digest"));
  succeed("a");
  const auto again = want("a");
  ASSERT_TRUE(comes([&] { return again->outcome().has_value(); }));
  EXPECT_TRUE(again->outcome()->has_value());
}

TEST_F(ModelFilesTest, StopsWhenNobodyWantsItAnyMore) {
  auto ticket = want("a");
  ASSERT_TRUE(begins(1));
  ticket.reset();
  EXPECT_TRUE(comes([&] {
    const std::scoped_lock lock(mutex_);
    return running_ == 0;
  }));
  EXPECT_TRUE(files_->list().empty());
  EXPECT_TRUE(files_->notes().empty());
}

TEST_F(ModelFilesTest, PausesAndGoesOnAsTheRequestSays) {
  const auto ticket = want("a");
  ASSERT_TRUE(begins(1));
  files_->set_request({.worker = "w", .files = files_named("a"), .keep = false, .paused = true});
  ASSERT_TRUE(is("a", FilesState::paused));
  EXPECT_TRUE(comes([&] {
    const std::scoped_lock lock(mutex_);
    return running_ == 0;
  }));
  EXPECT_FALSE(ticket->outcome());
  files_->drop_request(files_named("a"));
  ASSERT_TRUE(begins(2));
  succeed("a");
  ASSERT_TRUE(comes([&] { return ticket->outcome().has_value(); }));
}

TEST_F(ModelFilesTest, KeepsToTheRequestsThatThereAre) {
  files_->set_requests({{.worker = "w", .files = files_named("a"), .at = "1"},
                        {.worker = "w", .files = files_named("b"), .at = "1"}});
  succeed("a");
  ASSERT_TRUE(is("a", FilesState::ready));
  ASSERT_TRUE(is("b", FilesState::downloading));
  files_->set_requests({{.worker = "w", .files = files_named("a"), .at = "1"}});
  EXPECT_TRUE(comes([&] { return files_->list().size() == 1; }));
  EXPECT_EQ(files_->list().front().source, "hf:o/a");
}

TEST_F(ModelFilesTest, ANewRequestTriesAgainWhatFailed) {
  answer("a", fail(ErrorCode::not_found, "gone"));
  files_->set_request({.worker = "w", .files = files_named("a"), .at = "1"});
  ASSERT_TRUE(is("a", FilesState::failed));
  succeed("a");
  files_->set_request({.worker = "w", .files = files_named("a"), .at = "2"});
  EXPECT_TRUE(is("a", FilesState::ready));
}

TEST_F(ModelFilesTest, RemovesOnlyWhatNobodyWants) {
  auto ticket = want("a");
  succeed("a");
  ASSERT_TRUE(comes([&] { return ticket->outcome().has_value(); }));
  EXPECT_EQ(files_->remove(files_named("a")).error().code, ErrorCode::conflict);
  ticket.reset();
  EXPECT_EQ(files_->remove(files_named("a")).value(), 100_B);
  EXPECT_TRUE(files_->notes().empty());
}

}  // namespace
}  // namespace berth::worker
