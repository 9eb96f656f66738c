#include "sources/download/download.h"

#include "sources/download/download_test_support.h"

#include <thread>

namespace berth::sources {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using testing::asked_range;
using testing::file_of;
using ::testing::HasSubstr;
using testing::kChunk;
using ::testing::Not;
using testing::part_answer;
using testing::Peer;
using testing::Seen;
using testing::serve;
using testing::status_answer;
using testing::TestServer;
using testing::whole_answer;

class Download : public testing::DownloadTest {};

TEST_F(Download, FetchesALargeFileInChunks) {
  const std::string file = file_of(10 * kChunk.count + 17);
  const TestServer server([&](Peer& peer, const Seen& seen) { serve(peer, seen, file); });
  const auto done = download(request_of(server, file), quick());
  ASSERT_TRUE(done) << done.error().to_string();
  EXPECT_FALSE(done->was_there);
  EXPECT_EQ(done->fetched.count, file.size());
  EXPECT_EQ(text(), file);
  EXPECT_FALSE(has("model.part"));
  EXPECT_FALSE(has("model.part.journal"));
  std::set<std::size_t> firsts;
  for (const auto& seen : server.seen()) firsts.insert(asked_range(seen, file.size()).first);
  EXPECT_EQ(firsts.size(), 11);
  EXPECT_EQ(server.seen().size(), 11);
  EXPECT_EQ(server.seen().back().field("if-range"), "\"1\"");
}

TEST_F(Download, FetchesSmallAndEmptyFilesAtOnce) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{kChunk.count}}) {
    const std::string file = file_of(size);
    const TestServer server([&](Peer& peer, const Seen& seen) { serve(peer, seen, file); });
    auto request = request_of(server, file);
    request.path = folder_ / fmt::format("m{}", size);
    const auto done = download(request, quick());
    ASSERT_TRUE(done) << done.error().to_string();
    EXPECT_EQ(text_of(request.path), file);
    EXPECT_EQ(server.seen().size(), size == 0 ? 0 : 1);
  }
}

TEST_F(Download, VerifiesGitsDigestToo) {
  const std::string file = "hello\n";
  const TestServer server([&](Peer& peer, const Seen& seen) { serve(peer, seen, file); });
  auto request = request_of(server, file);
  request.digest = {.kind = DigestKind::git_blob,
                    .hex = "ce013625030ba8dba906f756967f9e9ca394464a"};  // git hash-object
  const auto done = download(request, quick());
  ASSERT_TRUE(done) << done.error().to_string();
  EXPECT_EQ(text(), file);
}

TEST_F(Download, TakesAFileThatIsThere) {
  const std::string file = file_of(100);
  const TestServer server([&](Peer& peer, const Seen& seen) { serve(peer, seen, file); });
  ASSERT_TRUE(write_file_atomic(folder_ / "model", file));
  const auto done = download(request_of(server, file), quick());
  ASSERT_TRUE(done);
  EXPECT_TRUE(done->was_there);
  EXPECT_TRUE(server.seen().empty());
}

TEST_F(Download, GoesOnInTheChunkWhereAConnectionBroke) {
  const std::string file = file_of(4 * kChunk.count);
  std::atomic<int> cuts = 0;
  const TestServer server([&](Peer& peer, const Seen& seen) {
    const std::string answer = part_answer(seen, file, "ETag: \"1\"\r\n");
    if (asked_range(seen, file.size()).first == kChunk.count && cuts++ == 0) {
      peer.send(std::string_view(answer).substr(0, answer.size() - 1000));
      return peer.close();
    }
    peer.send(answer);
  });
  const auto done = download(request_of(server, file), quick());
  ASSERT_TRUE(done) << done.error().to_string();
  EXPECT_EQ(text(), file);
  EXPECT_EQ(done->fetched.count, file.size());  // nothing twice
  bool went_on = false;
  for (const auto& seen : server.seen()) {
    went_on |= asked_range(seen, file.size()).first == 2 * kChunk.count - 1000;
  }
  EXPECT_TRUE(went_on);
}

TEST_F(Download, TriesAgainAfter429And5xx) {
  const std::string file = file_of(6 * kChunk.count);
  std::atomic<int> requests = 0;
  const TestServer server([&](Peer& peer, const Seen& seen) {
    const int number = requests++;
    if (number % 3 == 0) return void(peer.send(status_answer("429 Slow down")));
    if (number % 3 == 1) return void(peer.send(status_answer("503 Busy")));
    serve(peer, seen, file);
  });
  auto options = quick();
  options.connections = 1;
  const auto done = download(request_of(server, file), options);
  ASSERT_TRUE(done) << done.error().to_string();
  EXPECT_EQ(text(), file);
  EXPECT_EQ(requests.load(), 18);
}

TEST_F(Download, GivesUpWhereNothingComes) {
  const std::string file = file_of(100);
  const TestServer busy([](Peer& peer, const Seen&) { peer.send(status_answer("503 Busy")); });
  auto options = quick();
  options.patience = milliseconds(30);
  auto done = download(request_of(busy, file), options);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::unavailable);
  EXPECT_THAT(done.error().message, HasSubstr("HTTP 503"));

  const TestServer later([](Peer& peer, const Seen&) {
    peer.send(status_answer("429 Later", "Retry-After: 3600\r\n"));
  });
  done = download(request_of(later, file), quick());
  ASSERT_FALSE(done);
  EXPECT_THAT(done.error().message, HasSubstr("wait for 3600 s"));
  EXPECT_EQ(later.seen().size(), 1);
}

TEST_F(Download, DoesNotRepeatARefusal) {
  const TestServer server([](Peer& peer, const Seen&) { peer.send(status_answer("404 No")); });
  const auto done = download(request_of(server, file_of(1 << 20)), quick());
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::not_found);
  EXPECT_THAT(done.error().message, AllOf(HasSubstr("model"), Not(HasSubstr("secret"))));
  EXPECT_EQ(server.seen().size(), 1);
}

TEST_F(Download, ReadsAServerWithoutRangesInOneStream) {
  const std::string file = file_of(5 * kChunk.count);
  std::atomic<int> wholes = 0;
  const TestServer server([&](Peer& peer, const Seen& seen) {
    const std::string answer = whole_answer(file, "ETag: \"1\"\r\n");
    // Cut once in the middle: all of it comes again.
    if (seen.field("range").empty() && wholes++ == 0) {
      peer.send(std::string_view(answer).substr(0, answer.size() / 2));
      return peer.close();
    }
    peer.send(answer);
  });
  const auto done = download(request_of(server, file), quick());
  ASSERT_TRUE(done) << done.error().to_string();
  EXPECT_EQ(text(), file);
  EXPECT_EQ(wholes.load(), 2);
}

TEST_F(Download, ReadsAStreamWithoutALength) {
  const std::string file = file_of(1000);
  const TestServer server([&](Peer& peer, const Seen&) {
    peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + file);
    peer.close();
  });
  const auto done = download(request_of(server, file), quick());
  ASSERT_TRUE(done) << done.error().to_string();
  EXPECT_EQ(text(), file);
}

TEST_F(Download, RefusesLyingLengths) {
  const std::string file = file_of(4 * kChunk.count);
  struct Case {
    const char* what;
    std::string head;
    ErrorCode code;
  };
  const Case cases[] = {
      {"another size", "Content-Range: bytes 0-65535/999999\r\nContent-Length: 65536\r\n",
       ErrorCode::conflict},
      {"another place", "Content-Range: bytes 1-65536/262144\r\nContent-Length: 65536\r\n",
       ErrorCode::corrupt},
      {"another length", "Content-Range: bytes 0-65535/262144\r\nContent-Length: 65530\r\n",
       ErrorCode::corrupt},
      {"no range", "Content-Length: 65536\r\n", ErrorCode::corrupt},
  };
  for (const auto& lie : cases) {
    const TestServer server([&](Peer& peer, const Seen&) {
      peer.send(fmt::format("HTTP/1.1 206 Partial Content\r\n{}\r\n{}", lie.head,
                            file.substr(0, kChunk.count)));
      peer.close();
    });
    const auto done = download(request_of(server, file), quick());
    ASSERT_FALSE(done) << lie.what;
    EXPECT_EQ(done.error().code, lie.code) << done.error().to_string();
    EXPECT_FALSE(has("model"));
  }
}

TEST_F(Download, RefusesAFileThatIsShorterThanItsFirstChunk) {
  const TestServer server([&](Peer& peer, const Seen&) {
    peer.send(status_answer("416 Range Not Satisfiable", "Content-Range: bytes */0\r\n"));
  });
  const auto done = download(request_of(server, file_of(4 * kChunk.count)), quick());
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::conflict);
  EXPECT_THAT(done.error().message, HasSubstr("no byte 0"));
}

TEST_F(Download, RefusesMoreBytesThanThereAre) {
  const std::string file = file_of(1000);
  const TestServer server([&](Peer& peer, const Seen&) {
    peer.send("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + file + "and more");
    peer.close();
  });
  const auto done = download(request_of(server, file), quick());
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::corrupt);
  EXPECT_FALSE(has("model"));
}

TEST_F(Download, DeletesWhatHasTheWrongDigest) {
  const std::string file = file_of(3 * kChunk.count);
  const std::string other = file_of(3 * kChunk.count, 2);
  const TestServer server([&](Peer& peer, const Seen& seen) { serve(peer, seen, other); });
  const auto done = download(request_of(server, file), quick());
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::corrupt);
  EXPECT_THAT(done.error().message, AllOf(HasSubstr(sha256_hex(file)), HasSubstr(sha256_hex(other)),
                                          HasSubstr("model"), Not(HasSubstr("secret"))));
  EXPECT_FALSE(has("model"));
  EXPECT_FALSE(has("model.part"));
  EXPECT_FALSE(has("model.part.journal"));
}

TEST_F(Download, BeginsAnewWhereTheFileChanges) {
  const std::string old = file_of(6 * kChunk.count, 1);
  const std::string file = file_of(6 * kChunk.count, 2);
  std::atomic<int> requests = 0;
  const TestServer server([&](Peer& peer, const Seen& seen) {
    const bool is_old = requests++ < 3;
    serve(peer, seen, is_old ? old : file, is_old ? "ETag: \"1\"\r\n" : "ETag: \"2\"\r\n");
  });
  const auto done = download(request_of(server, file), quick());
  ASSERT_TRUE(done) << done.error().to_string();
  EXPECT_EQ(text(), file);
}

TEST_F(Download, GivesUpOnAFileThatGoesOnChanging) {
  const std::string file = file_of(6 * kChunk.count);
  std::atomic<int> requests = 0;
  const TestServer server([&](Peer& peer, const Seen& seen) {
    serve(peer, seen, file, fmt::format("ETag: \"{}\"\r\n", requests++));
  });
  const auto done = download(request_of(server, file), quick());
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::conflict);
  EXPECT_THAT(done.error().message, HasSubstr("goes on changing"));
}

TEST_F(Download, RefusesAnotherETagThanWasListed) {
  const std::string file = file_of(6 * kChunk.count);
  const TestServer server([&](Peer& peer, const Seen& seen) { serve(peer, seen, file); });
  auto request = request_of(server, file);
  request.etag = "\"2\"";
  const auto done = download(request, quick());
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::conflict);
  EXPECT_THAT(done.error().message, HasSubstr("ETag"));
}

TEST_F(Download, DownloadsOnceHoweverManyAsk) {
  const std::string file = file_of(8 * kChunk.count);
  std::atomic<bool> second_waits = false;
  const TestServer server([&](Peer& peer, const Seen& seen) {
    while (!second_waits && peer.pause(milliseconds(2))) {
    }
    serve(peer, seen, file);
  });
  auto options = quick();
  options.on_progress = [&](const DownloadProgress& progress) {
    if (progress.phase == DownloadPhase::waiting) second_waits = true;
  };
  std::vector<Result<Downloaded>> results(2);
  {
    std::vector<std::jthread> threads;
    threads.reserve(results.size());
    for (auto& result : results) {
      threads.emplace_back([&] { result = download(request_of(server, file), options); });
    }
  }
  ASSERT_TRUE(results[0]) << results[0].error().to_string();
  ASSERT_TRUE(results[1]) << results[1].error().to_string();
  EXPECT_NE(results[0]->was_there, results[1]->was_there);
  EXPECT_EQ(server.seen().size(), 8);
  EXPECT_EQ(text(), file);
}

TEST_F(Download, StopsWhileItWaitsForAnother) {
  const TestServer server([](Peer&, const Seen&) {});
  const auto lock = FileLock::try_acquire(folder_ / "model.lock");
  ASSERT_TRUE(lock);
  std::stop_source stop;
  auto options = quick();
  options.stop = stop.get_token();
  options.on_progress = [&](const DownloadProgress&) { stop.request_stop(); };
  const auto done = download(request_of(server, "file"), options);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::cancelled);
}

TEST_F(Download, TellsItsProgress) {
  const std::string file = file_of(8 * kChunk.count);
  const TestServer server([&](Peer& peer, const Seen& seen) { serve(peer, seen, file); });
  std::vector<DownloadProgress> told;
  auto options = quick();
  options.progress_interval = milliseconds(0);
  options.on_progress = [&](const DownloadProgress& progress) { told.push_back(progress); };
  ASSERT_TRUE(download(request_of(server, file), options));
  ASSERT_GE(told.size(), 2);
  EXPECT_EQ(told.front().done, 0_B);
  EXPECT_EQ(told.back().done.count, file.size());
  EXPECT_EQ(told.back().total.count, file.size());
  EXPECT_EQ(told.back().phase, DownloadPhase::verifying);
  EXPECT_TRUE(std::ranges::is_sorted(told, {}, &DownloadProgress::done));
}

TEST_F(Download, RefusesPathsThatAreNone) {
  const std::string file = "file";
  const TestServer server([&](Peer& peer, const Seen& seen) { serve(peer, seen, file); });
  auto request = request_of(server, file);
  for (const std::string& path :
       {std::string("model"), std::string(), folder_.string() + "/", folder_.string() + "/a/../b",
        folder_.string() + "/..", folder_.string() + "//a",
        folder_.string() + std::string("/a\0b", 4),
        folder_.string() + "/" + std::string(250, 'x')}) {
    request.path = path;
    const auto done = download(request, quick());
    ASSERT_FALSE(done) << path;
    EXPECT_EQ(done.error().code, ErrorCode::invalid_parameter) << path;
    EXPECT_EQ(done.error().field, "path");
  }
  request.path = folder_ / "absent" / "model";
  EXPECT_FALSE(download(request, quick()));
  EXPECT_TRUE(server.seen().empty());
}

TEST_F(Download, WritesThroughNoLink) {
  const std::string file = file_of(1000);
  const TestServer server([&](Peer& peer, const Seen& seen) { serve(peer, seen, file); });
  const auto victim = folder_ / "victim";
  ASSERT_TRUE(write_file_atomic(victim, "precious"));
  for (const auto* name : {"model.lock", "model", "model.part", "model.part.journal"}) {
    std::filesystem::create_symlink(victim, folder_ / name);
    const auto done = download(request_of(server, file), quick());
    EXPECT_FALSE(done) << name;
    EXPECT_EQ(text_of(victim), "precious");
    std::filesystem::remove(folder_ / name);
    std::filesystem::remove(folder_ / "model.lock");
  }
  std::filesystem::create_directory(folder_ / "model");
  const auto done = download(request_of(server, file), quick());
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::conflict);
}

TEST_F(Download, LeavesAFileOfAnotherSizeAlone) {
  const std::string file = file_of(1000);
  const TestServer server([&](Peer& peer, const Seen& seen) { serve(peer, seen, file); });
  ASSERT_TRUE(write_file_atomic(folder_ / "model", "mine"));
  const auto done = download(request_of(server, file), quick());
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ErrorCode::conflict);
  EXPECT_EQ(text(), "mine");
}

TEST(BandwidthLimit, IsSharedByAllWhoTake) {
  const ManualClock clock;
  Bandwidth bandwidth(1_MiB, clock);
  EXPECT_EQ(bandwidth.take(512_KiB), milliseconds(500));
  EXPECT_EQ(bandwidth.take(512_KiB), milliseconds(1000));
}

TEST(BandwidthLimit, SavesNothingUp) {
  ManualClock clock;
  Bandwidth bandwidth(1_MiB, clock);
  clock.advance(std::chrono::hours(1));
  EXPECT_EQ(bandwidth.take(1_MiB), milliseconds(1000));
  clock.advance(milliseconds(750));
  EXPECT_EQ(bandwidth.take(1_MiB), milliseconds(1250));
}

TEST(BandwidthLimit, IsNeverSoLowThatServersSeemStalled) {
  const ManualClock clock;
  Bandwidth bandwidth(1_B, clock);
  EXPECT_EQ(bandwidth.take(64_KiB), milliseconds(1000));
}

}  // namespace
}  // namespace berth::sources
