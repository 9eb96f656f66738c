#include "sources/connection_pool.h"

#include "sources/download/download_test_support.h"
#include "sources/hub/client.h"
#include "sources/hub/test_hub.h"
#include "sources/range_reader.h"

#include <thread>

namespace berth::sources {
namespace {

using testing::file_of;
using testing::json_answer;
using testing::kChunk;
using testing::kCommit;
using testing::part_answer;
using testing::Peer;
using testing::Seen;
using testing::serve;
using testing::status_answer;
using testing::TestServer;

constexpr int kFiles = 30;

class Connections : public testing::DownloadTest {
 protected:
  // Small files one after the other, as many as a repository may have.
  void download_all(const TestServer& server, const DownloadOptions& options) const {
    for (int i = 0; i < kFiles; ++i) {
      const std::string file = file_of(1000);
      auto request = request_of(server, file);
      request.path = folder_ / fmt::format("m{}", i);
      const auto done = download(request, options);
      ASSERT_TRUE(done) << done.error().to_string();
    }
  }

  std::string file_ = file_of(1000);
};

TEST_F(Connections, AreOfOneDownloadAlonePerDefault) {
  const TestServer server([&](Peer& peer, const Seen& seen) { serve(peer, seen, file_); });
  download_all(server, quick());
  EXPECT_EQ(server.connections(), kFiles);
}

TEST_F(Connections, ServeManySmallFilesWhereTheyAreKept) {
  const TestServer server([&](Peer& peer, const Seen& seen) { serve(peer, seen, file_); });
  auto options = quick();
  options.http.connections = std::make_shared<ConnectionPool>();
  download_all(server, options);
  EXPECT_EQ(server.connections(), 1);
  EXPECT_EQ(server.seen().size(), kFiles);
}

TEST_F(Connections, AreKeptToWhereRedirectsLeadToo) {
  const TestServer store([&](Peer& peer, const Seen& seen) { serve(peer, seen, file_); });
  const TestServer hub([&](Peer& peer, const Seen&) {
    peer.send(status_answer("302 Found", fmt::format("Location: {}\r\n", store.url("/b"))));
  });
  auto options = quick();
  options.http.connections = std::make_shared<ConnectionPool>();
  download_all(hub, options);
  EXPECT_EQ(hub.connections(), 1);
  EXPECT_EQ(store.connections(), 1);
}

TEST_F(Connections, ThatTheServerClosedMeanwhileAreMadeAnew) {
  const TestServer server([&](Peer& peer, const Seen& seen) {
    serve(peer, seen, file_);
    peer.close();
  });
  auto options = quick();
  options.http.connections = std::make_shared<ConnectionPool>();
  download_all(server, options);
  EXPECT_EQ(server.connections(), kFiles);
}

TEST_F(Connections, AreNoMoreThanDownloadsAtOnce) {
  const TestServer server([&](Peer& peer, const Seen& seen) { serve(peer, seen, file_); });
  auto options = quick();
  options.http.connections = std::make_shared<ConnectionPool>();
  std::vector<std::jthread> threads;
  threads.reserve(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int j = 0; j < 10; ++j) {
        auto request = request_of(server, file_);
        request.path = folder_ / fmt::format("m{}-{}", i, j);
        EXPECT_TRUE(download(request, options));
      }
    });
  }
  threads.clear();
  EXPECT_LE(server.connections(), 4);
  EXPECT_EQ(server.seen().size(), 40);
}

TEST_F(Connections, BeginTheirTrafficAnew) {
  const std::string file = file_of(8 * kChunk.count);
  const TestServer server(
      [&](Peer& peer, const Seen& seen) { peer.send(part_answer(seen, file)); });
  RangeOptions options;
  options.http.connections = std::make_shared<ConnectionPool>();
  options.http.traffic_limit = kChunk * 10;
  options.first_block = options.largest_block = kChunk * 8;
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(open_url(server.url("/m"), options)) << i;
  EXPECT_EQ(server.connections(), 1);
}

TEST_F(Connections, OfAHubAreOneForItsListAndItsFiles) {
  const TestServer server([&](Peer& peer, const Seen& seen) {
    if (seen.target.find("/revision/") != std::string::npos) {
      return void(peer.send(json_answer(fmt::format(R"({{"sha": "{}"}})", kCommit))));
    }
    if (seen.target.find("/tree/") != std::string::npos) {
      return void(peer.send(
          json_answer(fmt::format(R"([{{"type": "file", "path": "a", "size": 1000, "oid": "{}"}}])",
                                  std::string(40, 'd')))));
    }
    serve(peer, seen, file_);
  });
  auto settings = *read_hub_settings([](const char*) { return nullptr; });
  settings.hugging_face.endpoint = server.url("");
  const auto name = *parse_hub_name("hf:o/m");
  const auto listing = list_repository(name, settings);
  ASSERT_TRUE(listing) << listing.error().to_string();
  auto options = quick();
  options.http = http_options_for(name, settings);
  auto request = request_of(server, file_);
  request.address = *parse_address(listing->files.at(0).url);
  EXPECT_TRUE(download(request, options));
  EXPECT_EQ(server.seen().size(), 3);
  EXPECT_EQ(server.connections(), 1);
}

}  // namespace
}  // namespace berth::sources
