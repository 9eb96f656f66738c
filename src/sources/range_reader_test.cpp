#include "sources/range_reader.h"

#include "sources/range_sink.h"
#include "sources/test_server.h"

#include <atomic>
#include <random>

#include <gmock/gmock.h>

namespace berth::sources {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::part_answer;
using testing::Peer;
using testing::Seen;
using ::testing::StartsWith;
using testing::status_answer;
using testing::TestServer;

RangeOptions quick() {
  RangeOptions options;
  options.http.retries.first_pause = std::chrono::milliseconds(2);
  return options;
}

RangeOptions in_blocks(Bytes first, Bytes largest) {
  RangeOptions options = quick();
  options.first_block = first;
  options.largest_block = largest;
  return options;
}

// Bytes of which no two parts are alike.
std::string file_of(std::size_t size) {
  std::string file(size, '\0');
  std::minstd_rand random(1);
  for (char& c : file) c = static_cast<char>(random() >> 8U);
  return file;
}

std::string text_of(std::span<const std::byte> bytes) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes as characters
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::vector<std::string> ranges(const TestServer& server) {
  std::vector<std::string> all;
  for (const auto& request : server.seen()) all.push_back(request.field("range").substr(6));
  return all;
}

testing::Script serving(const std::string& file, const std::string& fields = "") {
  return [file, fields](Peer& peer, const Seen& request) {
    peer.send(part_answer(request, file, fields));
  };
}

// What opening fails with, where every answer is `answer`.
Error error_of_answer(const std::string& answer) {
  const TestServer server([&](Peer& peer, const Seen&) {
    peer.send(answer);
    peer.close();
  });
  const auto source = open_url(server.url("/m.gguf"), quick());
  return source ? Error{.message = "no error"} : source.error();
}

TEST(RangeReader, ReadsWhatIsAskedForWhereverItIs) {
  const std::string file = file_of(100'000);
  const TestServer server(serving(file, "ETag: \"1\"\r\n"));
  const auto source = open_url(server.url("/m"), in_blocks(1000_B, 4000_B));
  ASSERT_TRUE(source) << source.error().to_string();
  EXPECT_EQ((*source)->size(), file.size());
  std::minstd_rand random(2);
  for (int i = 0; i < 300; ++i) {
    const std::size_t offset = random() % (file.size() + 1);
    const std::size_t length = random() % (std::min<std::size_t>(file.size() - offset, 9000) + 1);
    const auto bytes = (*source)->read(offset, length);
    ASSERT_TRUE(bytes) << bytes.error().to_string();
    ASSERT_EQ(text_of(*bytes), file.substr(offset, length)) << offset << " " << length;
  }
}

TEST(RangeReader, RefusesWhatIsNotInTheFile) {
  const TestServer server(serving("0123456789"));
  const auto source = open_url(server.url("/m"), quick()).value();
  EXPECT_TRUE(source->read(10, 0));
  for (const auto& [offset, length] :
       {std::pair<std::uint64_t, std::uint64_t>{10, 1}, {0, 11}, {11, 0}, {5, ~0ULL}, {~0ULL, 1}}) {
    const auto bytes = source->read(offset, length);
    ASSERT_FALSE(bytes);
    EXPECT_EQ(bytes.error().code, ErrorCode::corrupt);
  }
}

TEST(RangeReader, FetchesLargerBlocksWhileItGoesOnInOrder) {
  const TestServer server(serving(file_of(100'000)));
  const auto source = open_url(server.url("/m"), in_blocks(1000_B, 4000_B)).value();
  for (std::uint64_t at = 0; at < 12'000; at += 100) ASSERT_TRUE(source->read(at, 100));
  ASSERT_TRUE(source->read(15'500, 100));  // skips some
  ASSERT_TRUE(source->read(50'000, 100));  // jumps
  ASSERT_TRUE(source->read(99'900, 100));
  EXPECT_THAT(ranges(server),
              ElementsAre("0-999", "1000-2999", "3000-6999", "7000-10999", "11000-14999",
                          "15500-19499", "50000-50999", "99900-99999"));
}

TEST(RangeReader, KeepsSomeBlocksAndFetchesNothingTwiceAtOnce) {
  const TestServer server(serving(file_of(100'000)));
  const auto source = open_url(server.url("/m"), in_blocks(1000_B, 1000_B)).value();
  ASSERT_TRUE(source->read(1500, 10));
  ASSERT_TRUE(source->read(500, 10));    // kept
  ASSERT_TRUE(source->read(900, 1000));  // the gap only
  EXPECT_THAT(ranges(server), ElementsAre("0-999", "1500-2499", "1000-1499"));
  for (std::uint64_t at = 10'000; at < 50'000; at += 10'000) ASSERT_TRUE(source->read(at, 10));
  ASSERT_TRUE(source->read(0, 10));  // no longer kept
  EXPECT_EQ(ranges(server).back(), "0-999");
}

TEST(RangeReader, TakesASmallFileAsAWhole) {
  const TestServer server(
      [](Peer& peer, const Seen&) { peer.send(status_answer("200 OK", "", "a file")); });
  const auto source = open_url(server.url("/m"), quick());
  ASSERT_TRUE(source) << source.error().to_string();
  EXPECT_EQ(text_of((*source)->read(2, 4).value()), "file");
  EXPECT_EQ(server.seen().size(), 1);
}

TEST(RangeReader, CutsALargeFileThatComesAsAWhole) {
  bool was_cut = false;
  std::optional<TestServer> server;
  server.emplace([&](Peer& peer, const Seen&) {
    peer.send("HTTP/1.1 200 OK\r\nContent-Length: 100000000\r\n\r\n");
    const std::string megabyte(1'000'000, 'x');
    for (int i = 0; i < 100 && !was_cut; ++i) was_cut = !peer.send(megabyte);
    peer.close();
  });
  const auto source = open_url(server->url("/m"), quick());
  ASSERT_FALSE(source);
  EXPECT_EQ(source.error().code, ErrorCode::unsupported);
  EXPECT_THAT(source.error().message, HasSubstr("serves no ranges"));
  EXPECT_EQ(server->seen().size(), 1);
  server.reset();  // its threads have ended
  EXPECT_TRUE(was_cut);
}

TEST(RangeReader, TakesNoWholeFileOfUnknownSize) {
  EXPECT_THAT(error_of_answer("HTTP/1.1 200 OK\r\n\r\na file").message, HasSubstr("no ranges"));
  EXPECT_THAT(error_of_answer("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                              "6\r\na file\r\n0\r\n\r\n")
                  .message,
              HasSubstr("no ranges"));
}

TEST(RangeReader, OpensAnEmptyFile) {
  for (const std::string& answer :
       {status_answer("416 No", "Content-Range: bytes */0\r\n", "none"), status_answer("200 OK")}) {
    const TestServer server([&](Peer& peer, const Seen&) { peer.send(answer); });
    const auto source = open_url(server.url("/m"), quick());
    ASSERT_TRUE(source) << source.error().to_string();
    EXPECT_EQ((*source)->size(), 0);
    EXPECT_FALSE((*source)->read(0, 1));
  }
}

TEST(RangeReader, RefusesWrongAnswers) {
  const auto part = [](std::string_view fields, std::string_view body) {
    return fmt::format("HTTP/1.1 206 Part\r\n{}\r\n{}", fields, body);
  };
  struct Case {
    std::string answer, words;
  };
  for (const Case& c : {
           Case{part("", "abcde"), "without saying which"},
           {part("Content-Range: bytes 0-4/*\r\n", "abcde"), "bytes 0-4/*"},
           {part("Content-Range: bytes 0-4/5\r\nContent-Range: bytes 0-4/6\r\n", "abcde"),
            "0-4/5, bytes"},
           {part("Content-Range: bytes 0-4/99999999999999999999\r\n", "abcde"), "without saying"},
           {part("Content-Range: bytes 4-0/5\r\n", "abcde"), "without saying"},
           {part("Content-Range: bytes 0-5/5\r\n", "abcde"), "without saying"},
           {part("Content-Range: bytes 1-4/5\r\n", "bcde"), "bytes 0 to 4 and sends 1 to 4"},
           {part("Content-Range: bytes 0-3/5\r\n", "abcd"), "bytes 0 to 4 and sends 0 to 3"},
           {part("Content-Range: bytes 0-4/5\r\n", "abcdef"), "more than the 5 bytes"},
           {part("Content-Range: bytes 0-4/5\r\nContent-Length: 6\r\n", "abcdef"), "\"6\""},
           {part("Content-Range: bytes 0-4/5\r\nContent-Length: 4\r\n", "abcd"), "\"4\""},
           {part("Content-Range: bytes 0-4/5\r\nContent-Encoding: gzip\r\n", "abcde"), "\"gzip\""},
           {part("Content-Range: bytes 0-4/5\r\nTransfer-Encoding: chunked\r\n",
                 "6\r\nabcdef\r\n0\r\n\r\n"),
            "more than the 5 bytes"},
           {part("Content-Range: bytes 0-4/5\r\n", "abcd"), "ended its answer early"},
           {status_answer("416 No", "Content-Range: bytes */9\r\n"), "no byte 0"},
           {status_answer("416 No"), "no byte 0"},
       }) {
    const auto error = error_of_answer(c.answer);
    EXPECT_THAT(error.message, AllOf(StartsWith("http://127.0.0.1:"), HasSubstr(c.words)));
  }
}

TEST(RangeReader, MakesNoControlCharactersPartOfAMessage) {
  const auto error = error_of_answer("HTTP/1.1 206 Part\r\nContent-Range: \x1b[31m\xff\r\n\r\n");
  EXPECT_THAT(error.message, HasSubstr("\"?[31m?\""));
}

TEST(RangeReader, AsksForTheVersionThatItBegan) {
  struct Case {
    std::string fields, condition;
  };
  for (const Case& c : {
           Case{"ETag: \"a\"\r\nLast-Modified: Mon, 02 Nov 2026 10:00:00 GMT\r\n", "\"a\""},
           {"Last-Modified: Mon, 02 Nov 2026 10:00:00 GMT\r\n", "Mon, 02 Nov 2026 10:00:00 GMT"},
           {"ETag: W/\"a\"\r\n", ""},
           {"ETag: W/\"a\"\r\nLast-Modified: now\r\n", "now"},
           {"", ""},
       }) {
    const TestServer server(serving(file_of(5000), c.fields));
    const auto source = open_url(server.url("/m"), in_blocks(1000_B, 1000_B)).value();
    ASSERT_TRUE(source->read(3000, 10));
    EXPECT_EQ(server.seen()[0].field("if-range"), "");
    EXPECT_EQ(server.seen()[1].field("if-range"), c.condition);
  }
}

TEST(RangeReader, FailsWhereTheFileChangesMeanwhile) {
  const std::string file = file_of(5000);
  const auto with = [&](std::string fields, std::size_t size = 5000) {
    return [fields, part = file.substr(0, size)](const Seen& request) {
      return part_answer(request, part, fields);
    };
  };
  using Answer = std::function<std::string(const Seen&)>;
  struct Case {
    const char* name;
    Answer before, after;
  };
  const auto fixed = [](std::string text) { return [text](const Seen&) { return text; }; };
  for (const Case& c : {
           Case{"ETag", with("ETag: \"a\"\r\n"), with("ETag: \"b\"\r\n")},
           {"weak ETag", with("ETag: W/\"a\"\r\n"), with("ETag: W/\"b\"\r\n")},
           {"ETag gone", with("ETag: \"a\"\r\n"), with("")},
           {"date", with("Last-Modified: Mon\r\n"), with("Last-Modified: Tue\r\n")},
           {"size", with("", 5000), with("", 4000)},
           {"whole", with("ETag: \"a\"\r\n"),
            fixed(status_answer("200 OK", "ETag: \"b\"\r\n", "a new file"))},
           {"412", with("ETag: \"a\"\r\n"), fixed(status_answer("412 Changed"))},
           {"416", with("ETag: \"a\"\r\n"),
            fixed(status_answer("416 No", "Content-Range: bytes */9\r\n"))},
       }) {
    const TestServer server([&](Peer& peer, const Seen& request) {
      peer.send(request.field("range").starts_with("bytes=0-") ? c.before(request)
                                                               : c.after(request));
    });
    const auto source = open_url(server.url("/m"), in_blocks(1000_B, 1000_B)).value();
    const auto bytes = source->read(2000, 10);
    ASSERT_FALSE(bytes) << c.name;
    EXPECT_EQ(bytes.error().code, ErrorCode::conflict) << c.name;
    EXPECT_THAT(bytes.error().message, HasSubstr("changed")) << c.name;
  }
}

TEST(RangeReader, GoesOnWhereOnlyTheDateOfATaggedFileDiffers) {
  const std::string file = file_of(5000);
  std::atomic<int> count = 0;
  const TestServer server([&](Peer& peer, const Seen& request) {
    peer.send(
        part_answer(request, file, fmt::format("ETag: \"a\"\r\nLast-Modified: {}\r\n", ++count)));
  });
  const auto source = open_url(server.url("/m"), in_blocks(1000_B, 1000_B)).value();
  EXPECT_TRUE(source->read(2000, 10));
}

TEST(RangeReader, KeepsToTheTrafficLimitAndNamesIt) {
  const TestServer server(serving(file_of(100'000)));
  RangeOptions options = in_blocks(1000_B, 1000_B);
  options.http.traffic_limit = 8_KiB;
  const auto source = open_url(server.url("/m"), options).value();
  Error error;
  for (std::uint64_t at = 0; at < 100'000 && error.message.empty(); at += 1000) {
    if (const auto bytes = source->read(at, 1000); !bytes) error = bytes.error();
  }
  EXPECT_EQ(error.code, ErrorCode::too_large);
  EXPECT_THAT(error.message, HasSubstr("8.0 KiB"));
  EXPECT_LE(server.sent(), 8192);
  EXPECT_GE(server.seen().size(), 5);
  EXPECT_EQ(source->read(0, 9000).error().code, ErrorCode::too_large);
}

TEST(RangeReader, CountsFailedAttemptsAsTraffic) {
  const TestServer server([](Peer& peer, const Seen& request) {
    const std::string answer = part_answer(request, std::string(5000, 'x'));
    peer.send(answer.substr(0, answer.size() - 1));
    peer.close();
  });
  RangeOptions options = in_blocks(2000_B, 2000_B);
  options.http.traffic_limit = 5000_B;
  EXPECT_EQ(open_url(server.url("/m"), options).error().code, ErrorCode::too_large);
  EXPECT_EQ(server.seen().size(), 3);
}

TEST(RangeReader, OpensOnlyAddressesOfTheWeb) {
  for (const auto* url : {"ftp://127.0.0.1/m", "file:///m", "/m", "http://me:secret@h/m"}) {
    const auto source = open_url(std::string_view(url), quick());
    ASSERT_FALSE(source) << url;
    EXPECT_EQ(source.error().code, ErrorCode::invalid_parameter) << url;
  }
}

TEST(ContentRange, IsTakenApartOrRefused) {
  const auto range = parse_content_range("bytes 5-9/10");
  ASSERT_TRUE(range);
  EXPECT_EQ(range->range.first, 5);
  EXPECT_EQ(range->range.last, 9);
  EXPECT_EQ(range->size, 10);
  for (const auto* text : {"", "bytes", "bytes ", "5-9/10", "bytes 5-9", "bytes -9/10",
                           "bytes 5-/10", "bytes 5-10/10", "bytes +5-9/10", "bytes 5-9/10x",
                           "bytes 5/9-10", "bytes 5-9/-1", "items 5-9/10", "bytes 5 - 9/10"}) {
    EXPECT_FALSE(parse_content_range(text)) << text;
  }
  EXPECT_EQ(parse_unsatisfied_range("bytes */7"), 7);
  EXPECT_FALSE(parse_unsatisfied_range("bytes */"));
  EXPECT_FALSE(parse_unsatisfied_range("bytes */*"));
}

}  // namespace
}  // namespace berth::sources
