// What an interrupted download leaves, and what the next one makes of it.
#include "sources/download/chunk_transfer.h"
#include "sources/download/download_test_support.h"

#include <sys/mount.h>

namespace berth::sources {
namespace {

namespace fs = std::filesystem;

using ::testing::AllOf;
using testing::file_of;
using ::testing::HasSubstr;
using testing::kChunk;
using testing::Peer;
using testing::Seen;
using testing::serve;
using testing::status_answer;
using testing::TestServer;

class Resume : public testing::DownloadTest {
 protected:
  // Downloads until the server has given so many answers, by one connection.
  void interrupt(const std::string& file, std::string_view fields = "ETag: \"1\"\r\n",
                 int answers = 5) {
    std::atomic<int> left = answers;
    const TestServer server([&](Peer& peer, const Seen& seen) {
      if (left-- > 0) return serve(peer, seen, file, fields);
      peer.send(status_answer("404 Gone"));
    });
    auto options = quick();
    options.connections = 1;
    request_ = request_of(server, file);
    ASSERT_FALSE(download(request_, options));
    ASSERT_TRUE(has("model.part"));
    ASSERT_FALSE(has("model"));
  }

  // Downloads the rest from a good server. How many chunks that took.
  std::size_t go_on(const std::string& file, std::string_view fields = "ETag: \"1\"\r\n") {
    const TestServer server([&](Peer& peer, const Seen& seen) { serve(peer, seen, file, fields); });
    const auto done = download(request_of(server, file), quick());
    EXPECT_TRUE(done) << done.error().to_string();
    EXPECT_EQ(text(), file);
    EXPECT_FALSE(has("model.part.journal"));
    return server.seen().size();
  }

  [[nodiscard]] fs::path journal() const { return folder_ / "model.part.journal"; }

  DownloadRequest request_;
};

TEST_F(Resume, FetchesWhatIsMissingOnly) {
  const std::string file = file_of(8 * kChunk.count + 5);
  interrupt(file);
  EXPECT_EQ(go_on(file), 4);
}

TEST_F(Resume, FetchesOneChunkAConnectionAgainAfterAKill) {
  const std::string file = file_of(40 * kChunk.count);
  constexpr int kConnections = 4;
  // What a kill at the 30th request would leave: copies of the files in the middle of everything.
  const auto crashed = folder_ / "crashed";
  fs::create_directory(crashed);
  std::atomic<int> requests = 0;
  const TestServer server([&](Peer& peer, const Seen& seen) {
    if (requests++ == 30) {
      // The journal first: it must not know of more than the part has.
      fs::copy_file(folder_ / "model.part.journal", crashed / "model.part.journal");
      fs::copy_file(folder_ / "model.part", crashed / "model.part");
    }
    serve(peer, seen, file);
  });
  auto options = quick();
  options.connections = kConnections;
  ASSERT_TRUE(download(request_of(server, file), options));

  const TestServer again([&](Peer& peer, const Seen& seen) { serve(peer, seen, file); });
  auto request = request_of(again, file);
  request.path = crashed / "model";
  const auto done = download(request, options);
  ASSERT_TRUE(done) << done.error().to_string();
  EXPECT_EQ(text_of(crashed / "model"), file);
  // 30 were asked for before, of which at most those that were open were not finished.
  EXPECT_LE(again.seen().size(), 40 - 30 + kConnections);
  EXPECT_LT(again.seen().size(), 40);
}

TEST_F(Resume, KeepsWhatCameWhenStopped) {
  const std::string file = file_of(20 * kChunk.count);
  std::stop_source stop;
  std::atomic<int> requests = 0;
  const TestServer server([&](Peer& peer, const Seen& seen) {
    if (requests++ == 10) {
      stop.request_stop();
      while (peer.pause(std::chrono::milliseconds(5))) {
      }
      return peer.close();
    }
    serve(peer, seen, file);
  });
  auto options = quick();
  options.connections = 1;
  options.stop = stop.get_token();
  const auto done = download(request_of(server, file), options);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::cancelled);
  EXPECT_EQ(go_on(file), 10);
}

TEST_F(Resume, IgnoresADamagedEndOfTheJournal) {
  const std::string file = file_of(8 * kChunk.count);
  for (const auto* end : {"7", "7 ", "7 0123456789ab\n", "99999 0123456789ab\n", "x\n", "\n\n"}) {
    interrupt(file);
    const std::string text = text_of(journal());
    ASSERT_TRUE(write_file_atomic(journal(), text + end));
    EXPECT_EQ(go_on(file), 3) << end;
    fs::remove(folder_ / "model");
  }
}

TEST_F(Resume, LosesWhatFollowsADamagedLine) {
  const std::string file = file_of(8 * kChunk.count);
  interrupt(file);
  std::string text = text_of(journal());
  const auto third = text.find("\n2 ");
  ASSERT_NE(third, std::string::npos);
  text[third + 1] = '6';  // a chunk that is not there
  ASSERT_TRUE(write_file_atomic(journal(), text));
  EXPECT_EQ(go_on(file), 6);
}

TEST_F(Resume, IgnoresADamagedJournal) {
  const std::string file = file_of(8 * kChunk.count);
  for (const auto* text : {"", "\n", "{}\n", "no json\n0 1\n", "[1]\n", "{\"format\":"}) {
    interrupt(file);
    ASSERT_TRUE(write_file_atomic(journal(), text));
    EXPECT_EQ(go_on(file), 8) << text;
    fs::remove(folder_ / "model");
  }
}

TEST_F(Resume, IgnoresTheJournalOfAnotherFile) {
  const std::string other = file_of(8 * kChunk.count, 2);
  interrupt(other);
  const std::string file = file_of(8 * kChunk.count, 1);
  EXPECT_EQ(go_on(file), 8);
}

TEST_F(Resume, BelievesNoJournalBeyondTheEndOfThePart) {
  const std::string file = file_of(8 * kChunk.count);
  interrupt(file);
  fs::resize_file(folder_ / "model.part", 2 * kChunk.count + 10);
  EXPECT_EQ(go_on(file), 6);
}

TEST_F(Resume, BeginsAnewWhereTheETagIsAnother) {
  const std::string file = file_of(8 * kChunk.count);
  interrupt(file);
  EXPECT_GE(go_on(file, "ETag: \"2\"\r\n"), 9);  // one to see it, and all
}

TEST_F(Resume, FindsOutThatThePartWasDamaged) {
  const std::string file = file_of(8 * kChunk.count);
  interrupt(file);
  std::string part = text_of(folder_ / "model.part");
  part[100] = static_cast<char>(part[100] + 1);
  ASSERT_TRUE(write_file_atomic(folder_ / "model.part", part));
  const TestServer server([&](Peer& peer, const Seen& seen) { serve(peer, seen, file); });
  const auto done = download(request_of(server, file), quick());
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::corrupt);
  EXPECT_FALSE(has("model.part"));
  EXPECT_EQ(go_on(file), 8);
}

TEST_F(Resume, MixesNothingThatNobodyTellsApart) {
  const std::string file = file_of(8 * kChunk.count);
  std::atomic<int> left = 5;
  const TestServer server([&](Peer& peer, const Seen& seen) {
    if (left-- == 0) return void(peer.send(status_answer("404 Gone")));
    serve(peer, seen, file, "");  // no ETag, no date
  });
  auto request = request_of(server, file);
  request.digest = {};
  auto options = quick();
  options.connections = 1;
  ASSERT_FALSE(download(request, options));
  const auto done = download(request, options);
  ASSERT_TRUE(done) << done.error().to_string();
  EXPECT_EQ(done->fetched.count, file.size());
  EXPECT_EQ(text(), file);
}

TEST_F(Resume, WritesNoSecretIntoTheJournal) {
  const std::string file = file_of(8 * kChunk.count);
  interrupt(file);
  EXPECT_EQ(text_of(journal()).find("secret"), std::string::npos);
}

TEST_F(Resume, KeepsThePartWhereTheDiskIsFull) {
  const auto disk = folder_ / "disk";
  fs::create_directory(disk);
  if (::mount("berth-test", disk.c_str(), "tmpfs", 0, "size=512k") != 0) {
    GTEST_SKIP() << "only root mounts a file system";
  }
  const std::string file = file_of(16 * kChunk.count);
  const TestServer server([&](Peer& peer, const Seen& seen) { serve(peer, seen, file); });
  auto request = request_of(server, file);
  request.path = disk / "model";
  const auto full = download(request, quick());  // which believes that there is room
  const bool is_kept = fs::exists(disk / "model.part");
  const bool is_larger = ::mount("berth-test", disk.c_str(), "tmpfs", MS_REMOUNT, "size=8m") == 0;
  const auto before = server.seen().size();
  const auto done = download(request, quick());
  const std::string text = text_of(disk / "model");
  ::umount2(disk.c_str(), MNT_DETACH);
  ASSERT_FALSE(full);
  EXPECT_EQ(full.error().code, ErrorCode::unavailable);
  EXPECT_THAT(full.error().message,
              AllOf(HasSubstr(disk.string()), HasSubstr("is full"), HasSubstr("to come")));
  EXPECT_TRUE(is_kept);
  ASSERT_TRUE(is_larger);
  ASSERT_TRUE(done) << done.error().to_string();
  EXPECT_EQ(text, file);
  EXPECT_LT(server.seen().size() - before, 16);
}

TEST_F(Resume, ReservesWhatIsMissingOnly) {
  const std::string file = file_of(8 * kChunk.count);
  interrupt(file);
  // 5 % of 100 MiB stay free, and so 3 chunks fit but 4 do not.
  const Bytes available = 5_MiB + kChunk * 3;
  const TestServer server([&](Peer& peer, const Seen& seen) { serve(peer, seen, file); });
  auto options = quick();
  options.space = std::make_shared<SpaceLedger>([=](const fs::path&) {
    return fs::space_info{
        .capacity = (100_MiB).count, .free = available.count, .available = available.count};
  });
  const auto done = download(request_of(server, file), options);
  ASSERT_TRUE(done) << done.error().to_string();
  fs::remove(folder_ / "model");
  const auto no_room = download(request_of(server, file), options);
  ASSERT_FALSE(no_room);
  EXPECT_EQ(no_room.error().code, ErrorCode::unavailable);
  EXPECT_THAT(no_room.error().message, HasSubstr("320.0 KiB are missing"));
}

TEST_F(Resume, CountsSpaceAcrossDownloads) {
  SpaceLedger ledger([](const fs::path&) {
    return fs::space_info{
        .capacity = (100_MiB).count, .free = (25_MiB).count, .available = (25_MiB).count};
  });
  auto first = ledger.reserve(folder_, 15_MiB, "a");
  ASSERT_TRUE(first);
  const auto second = ledger.reserve(folder_, 6_MiB, "b");
  ASSERT_FALSE(second);
  EXPECT_THAT(second.error().message,
              AllOf(HasSubstr("b needs 6.0 MiB"), HasSubstr("15.0 MiB are promised"),
                    HasSubstr("1.0 MiB are missing")));
  EXPECT_TRUE(ledger.reserve(folder_, 5_MiB, "b"));
  first->release(1_MiB);
  EXPECT_TRUE(ledger.reserve(folder_, 6_MiB, "b"));
  {
    const auto gone = std::move(*first);
  }
  EXPECT_TRUE(ledger.reserve(folder_, 20_MiB, "b"));
  EXPECT_FALSE(ledger.reserve(folder_, 21_MiB, "b"));
  EXPECT_FALSE(ledger.reserve(folder_ / "absent", 1_MiB, "b"));
}

TEST(SpeedMeter, SeesTheLastSecondsOnly) {
  SpeedMeter meter;
  SteadyTime now{};
  EXPECT_EQ(meter.per_second(), 0_B);
  meter.add(now, 0_B);
  for (int second = 1; second <= 20; ++second) {
    now += std::chrono::seconds(1);
    meter.add(now, 1_MiB * static_cast<std::uint64_t>(second <= 10 ? 0 : second - 10));
  }
  EXPECT_EQ(meter.per_second(), 1_MiB);
}

}  // namespace
}  // namespace berth::sources
