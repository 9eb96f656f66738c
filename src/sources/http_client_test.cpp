#include "sources/http_client.h"

#include "sources/range_reader.h"
#include "sources/test_server.h"

#include <atomic>

#include <gmock/gmock.h>

namespace berth::sources {
namespace {

using std::chrono::milliseconds;
using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::part_answer;
using testing::Peer;
using testing::Seen;
using testing::status_answer;
using testing::TestServer;

constexpr std::string_view kFile = "the bytes of a model";

RangeOptions quick() {
  RangeOptions options;
  options.http.retries.first_pause = milliseconds(2);
  return options;
}

Error error_of(const std::string& url, const RangeOptions& options = quick()) {
  const auto source = open_url(url, options);
  return source ? Error{.message = "no error"} : source.error();
}

// The whole file, or the error's text.
std::string text_at(const std::string& url, const RangeOptions& options = quick()) {
  const auto source = open_url(url, options);
  if (!source) return source.error().to_string();
  const auto bytes = (*source)->read(0, (*source)->size());
  if (!bytes) return bytes.error().to_string();
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes as characters
  return {reinterpret_cast<const char*>(bytes->data()), bytes->size()};
}

void serve_file(Peer& peer, const Seen& request) { peer.send(part_answer(request, kFile)); }

std::string redirect(std::string_view to, std::string_view status = "302 Found") {
  return status_answer(status, fmt::format("Location: {}\r\n", to), "moved");
}

TEST(HttpClient, AsksForBytesAsTheyAre) {
  const TestServer server(serve_file);
  EXPECT_EQ(text_at(server.url("/m?a=1")), kFile);
  const auto seen = server.seen();
  ASSERT_EQ(seen.size(), 1);
  EXPECT_EQ(seen[0].target, "/m?a=1");
  EXPECT_EQ(seen[0].field("range"), "bytes=0-1048575");
  EXPECT_EQ(seen[0].field("accept-encoding"), "identity");
  EXPECT_EQ(seen[0].field("authorization"), "");
}

TEST(HttpClient, FollowsRedirectsOfEveryKind) {
  for (const auto* status : {"301 Moved", "302 Found", "303 See Other", "307 T", "308 P"}) {
    const TestServer server([&](Peer& peer, const Seen& request) {
      if (request.target == "/b?s=1") return serve_file(peer, request);
      peer.send(redirect("b?s=1", status));
    });
    EXPECT_EQ(text_at(server.url("/a")), kFile) << status;
  }
}

TEST(HttpClient, FollowsFiveRedirectsAndNoMore) {
  const auto chain = [](int length) {
    return [length](Peer& peer, const Seen& request) {
      const int at = std::stoi(request.target.substr(1));
      if (at == length) return serve_file(peer, request);
      peer.send(redirect(fmt::format("/{}", at + 1)));
    };
  };
  const TestServer five(chain(5));
  EXPECT_EQ(text_at(five.url("/0")), kFile);
  const TestServer six(chain(6));
  EXPECT_THAT(error_of(six.url("/0")).message, HasSubstr("more than 5"));
  const TestServer circle([](Peer& peer, const Seen&) { peer.send(redirect("/0")); });
  EXPECT_THAT(error_of(circle.url("/0")).message, HasSubstr("circle"));
  EXPECT_EQ(circle.seen().size(), 6);
}

TEST(HttpClient, RefusesRedirectsToNowhere) {
  for (const auto* to : {"file:///etc/passwd", "ftp://127.0.0.1/m", "http://u:p@127.0.0.1/m"}) {
    const TestServer server([&](Peer& peer, const Seen&) { peer.send(redirect(to)); });
    EXPECT_THAT(error_of(server.url("/a")).message, HasSubstr("redirects to")) << to;
  }
  const TestServer server([](Peer& peer, const Seen&) { peer.send(status_answer("302 Found")); });
  EXPECT_EQ(error_of(server.url("/a")).code, ErrorCode::corrupt);
}

TEST(HttpClient, KeepsWhereRedirectsLedAndAsksAgainWhereThatExpires) {
  std::atomic<int> token = 0;
  const std::string file(3 << 20, 'x');
  const TestServer server([&](Peer& peer, const Seen& request) {
    if (request.target == "/m") return void(peer.send(redirect(fmt::format("/s?t={}", ++token))));
    // Each signature is good for two requests.
    static thread_local int used = 0;
    const bool is_good = request.target == fmt::format("/s?t={}", token.load()) && used++ % 3 != 2;
    peer.send(is_good ? part_answer(request, file) : status_answer("403 Forbidden"));
  });
  RangeOptions options = quick();
  options.largest_block = options.first_block = 512_KiB;
  EXPECT_EQ(text_at(server.url("/m"), options), file);
  EXPECT_EQ(token.load(), 3);
}

TEST(HttpClient, SendsTheTokenToItsOwnServerOnly) {
  const TestServer other(serve_file);
  const TestServer server([&](Peer& peer, const Seen& request) {
    peer.send(redirect(request.target == "/m" ? "/n" : other.url("/m")));
  });
  RangeOptions options = quick();
  options.http.bearer_token = "t0ken";
  EXPECT_EQ(text_at(server.url("/m"), options), kFile);
  for (const auto& request : server.seen()) {
    EXPECT_EQ(request.field("authorization"), "Bearer t0ken");
  }
  EXPECT_EQ(other.seen().front().field("authorization"), "");
}

TEST(HttpClient, SendsASecretFieldToItsOwnServerOnly) {
  const TestServer other(serve_file);
  const TestServer server([&](Peer& peer, const Seen&) { peer.send(redirect(other.url("/m"))); });
  RangeOptions options = quick();
  options.http.secret_field = "Cookie: a=s3cret";
  EXPECT_EQ(text_at(server.url("/m"), options), kFile);
  EXPECT_EQ(server.seen().front().field("cookie"), "a=s3cret");
  EXPECT_EQ(other.seen().front().field("cookie"), "");
  options.http.secret_field = "Cookie: a\r\nHost: b";
  EXPECT_EQ(error_of(server.url("/m"), options).code, ErrorCode::invalid_parameter);
}

TEST(HttpClient, LeavesTheWordsOfARefusalToWhoKnowsTheServer) {
  const TestServer other([](Peer& peer, const Seen&) { peer.send(status_answer("403 No")); });
  const TestServer server([&](Peer& peer, const Seen& request) {
    peer.send(request.target == "/m" ? status_answer("403 No", "X-Why: terms\r\n")
                                     : redirect(other.url("/m")));
  });
  RangeOptions options = quick();
  options.http.explain = [](const HttpHead& head, bool has_secret) {
    return make_error(ErrorCode::permission_denied, "why: {} {}", head.field("x-why"), has_secret);
  };
  EXPECT_THAT(error_of(server.url("/m"), options).message, HasSubstr("why: terms false"));
  EXPECT_THAT(error_of(server.url("/elsewhere"), options).message, Not(HasSubstr("why")));
  options.http.explain = [](const HttpHead&, bool) { return std::optional<Error>(); };
  EXPECT_THAT(error_of(server.url("/m"), options).message, HasSubstr("does not allow it"));
}

TEST(HttpClient, AsksNothingAfterItsEnd) {
  const TestServer server(serve_file);
  RangeOptions options = quick();
  options.http.end = real_clock().steady_now();
  EXPECT_EQ(error_of(server.url("/m"), options).code, ErrorCode::timeout);
  EXPECT_TRUE(server.seen().empty());
}

TEST(HttpClient, RefusesATokenThatIsNone) {
  for (const auto* token : {"a b", "a\r\nHost: b", "\xC3\xA4"}) {
    RangeOptions options;
    options.http.bearer_token = token;
    const auto error = error_of("http://127.0.0.1:1/m", options);
    EXPECT_EQ(error.code, ErrorCode::invalid_parameter);
    EXPECT_THAT(error.message, Not(HasSubstr(token)));
  }
}

TEST(HttpClient, SaysWhatAStatusMeansAndNothingThatIsSecret) {
  struct Case {
    std::string_view status;
    ErrorCode code;
    std::string_view words;
    std::size_t requests = 1;
  };
  for (const Case& c : {
           Case{"401 Unauthorized", ErrorCode::unauthenticated, "does not accept the token"},
           {"403 Forbidden", ErrorCode::permission_denied, "does not allow it"},
           {"404 Not Found", ErrorCode::not_found, "no such file"},
           {"410 Gone", ErrorCode::not_found, "no such file"},
           {"418 Teapot", ErrorCode::unsupported, "HTTP 418"},
           {"304 Not Modified", ErrorCode::unsupported, "HTTP 304"},
           {"204 No Content", ErrorCode::corrupt, "HTTP 204"},
           {"412 Precondition Failed", ErrorCode::conflict, "changed"},
           {"429 Too Many", ErrorCode::unavailable, "(after 4 attempts)", 4},
           {"500 Error", ErrorCode::unavailable, "(after 4 attempts)", 4},
           {"503 Unavailable", ErrorCode::unavailable, "in trouble", 4},
       }) {
    const TestServer server([&](Peer& peer, const Seen&) {
      peer.send(status_answer(c.status, "", std::string(100'000, 'x')));
    });
    RangeOptions options = quick();
    options.http.bearer_token = "t0ken";
    const auto error = error_of(server.url("/m.gguf?sign=secret"), options);
    EXPECT_EQ(error.code, c.code) << c.status;
    EXPECT_EQ(server.seen().size(), c.requests) << c.status;
    EXPECT_THAT(error.to_string(), AllOf(HasSubstr(c.words), HasSubstr("/m.gguf?…: "),
                                         Not(HasSubstr("secret")), Not(HasSubstr("t0ken"))));
  }
}

TEST(HttpClient, SaysHowToGoOnWithoutAToken) {
  const TestServer server([](Peer& peer, const Seen&) { peer.send(status_answer("401 No")); });
  EXPECT_THAT(error_of(server.url("/m")).message, HasSubstr("give its local path"));
}

TEST(HttpClient, TriesAgainWhatIsTransient) {
  struct Case {
    const char* name;
    testing::Script first;
  };
  for (const Case& c : {
           Case{"503", [](Peer& p, const Seen&) { p.send(status_answer("503 Busy")); }},
           {"429", [](Peer& p, const Seen&) { p.send(status_answer("429 Too Many")); }},
           {"no answer", [](Peer& p, const Seen&) { p.close(); }},
           {"cut in the middle",
            [](Peer& p, const Seen& request) {
              p.send(part_answer(request, kFile).substr(0, part_answer(request, kFile).size() - 5));
              p.close();
            }},
           {"cut, without a length",
            [](Peer& p, const Seen&) {
              p.send("HTTP/1.1 206 Part\r\nContent-Range: bytes 0-19/20\r\n\r\nthe bytes");
              p.close();
            }},
       }) {
    std::atomic<int> count = 0;
    const TestServer server([&](Peer& peer, const Seen& request) {
      return ++count <= 2 ? c.first(peer, request) : serve_file(peer, request);
    });
    EXPECT_EQ(text_at(server.url("/m")), kFile) << c.name;
    EXPECT_EQ(count.load(), 3) << c.name;
  }
}

TEST(HttpClient, TriesAConnectionAgain) {
  int port = 0;
  {
    const TestServer gone(serve_file);
    port = gone.port();
  }
  const auto error = error_of(fmt::format("http://127.0.0.1:{}/m", port));
  EXPECT_EQ(error.code, ErrorCode::unavailable);
  EXPECT_THAT(error.message, AllOf(HasSubstr("no connection to 127.0.0.1"), HasSubstr("4 att")));
}

TEST(HttpClient, WaitsAsLongAsTheServerAsks) {
  std::atomic<int> count = 0;
  const TestServer server([&](Peer& peer, const Seen& request) {
    if (++count > 1) return serve_file(peer, request);
    peer.send(status_answer("503 Busy", "Retry-After: 1\r\n"));
  });
  const auto start = real_clock().steady_now();
  EXPECT_EQ(text_at(server.url("/m")), kFile);
  EXPECT_GE(real_clock().steady_now() - start, std::chrono::seconds(1));
}

TEST(HttpClient, DoesNotWaitForTooLong) {
  const TestServer server([](Peer& peer, const Seen&) {
    peer.send(status_answer("429 Too Many", "Retry-After: 3600\r\n"));
  });
  EXPECT_THAT(error_of(server.url("/m")).message, HasSubstr("asks to wait for 3600 s"));
  EXPECT_EQ(server.seen().size(), 1);
}

TEST(HttpClient, EndsASlowDripAtTheDeadline) {
  const TestServer server([](Peer& peer, const Seen& request) {
    for (const char c : part_answer(request, std::string(1000, 'x'))) {
      if (!peer.send({&c, 1}) || !peer.pause(milliseconds(20))) return;
    }
  });
  RangeOptions options = quick();
  options.http.deadlines.request = milliseconds(300);
  const auto error = error_of(server.url("/m"), options);
  EXPECT_EQ(error.code, ErrorCode::timeout);
  EXPECT_THAT(error.message, HasSubstr("within 0.3 s"));
  EXPECT_EQ(server.seen().size(), 1);
}

// Answers with the head and nothing more.
void stall(Peer& peer, const Seen& request) {
  const std::string answer = part_answer(request, kFile);
  peer.send(answer.substr(0, answer.size() - kFile.size()));
  while (peer.pause(milliseconds(20))) {
  }
}

TEST(HttpClient, EndsWhereNothingComes) {
  const TestServer server(stall);
  RangeOptions options = quick();
  options.http.deadlines.stall = milliseconds(100);
  const auto error = error_of(server.url("/m"), options);
  EXPECT_EQ(error.code, ErrorCode::timeout);
  EXPECT_THAT(error.message, HasSubstr("sent nothing for 0.1 s"));
}

TEST(HttpClient, EndsWhereAllTogetherTakesTooLong) {
  const TestServer server([](Peer& peer, const Seen&) { peer.send(status_answer("503 Busy")); });
  RangeOptions options = quick();
  options.http.retries = {.count = 1000, .first_pause = milliseconds(20)};
  options.http.total = milliseconds(200);
  const auto start = real_clock().steady_now();
  // The last pause would be beyond the end, or the end comes while the server is asked.
  EXPECT_THAT(error_of(server.url("/m"), options).code,
              AnyOf(ErrorCode::unavailable, ErrorCode::timeout));
  EXPECT_LT(real_clock().steady_now() - start, std::chrono::seconds(10));
  EXPECT_LT(server.seen().size(), 100);
  const TestServer slow(stall);
  const auto error = error_of(slow.url("/m"), options);
  EXPECT_EQ(error.code, ErrorCode::timeout);
}

TEST(HttpClient, StopsWhenTheProgramEnds) {
  std::stop_source ending;
  const TestServer server([&](Peer& peer, const Seen& request) {
    ending.request_stop();
    stall(peer, request);
  });
  RangeOptions options = quick();
  options.http.stop = ending.get_token();
  EXPECT_EQ(error_of(server.url("/m"), options).code, ErrorCode::cancelled);
  EXPECT_EQ(error_of(server.url("/m"), options).code, ErrorCode::cancelled);
  EXPECT_EQ(server.seen().size(), 1);
}

TEST(HttpClient, RefusesHeadsWithoutEnd) {
  const TestServer server([](Peer& peer, const Seen&) {
    peer.send("HTTP/1.1 206 Part\r\n");
    while (peer.send(fmt::format("X-More: {}\r\n", std::string(1000, 'x')))) {
    }
    peer.close();
  });
  const auto error = error_of(server.url("/m"));
  EXPECT_EQ(error.code, ErrorCode::corrupt);
  EXPECT_THAT(error.message, HasSubstr("64.0 KiB"));
}

TEST(HttpClient, RefusesAnnouncementsWithoutEnd) {
  const TestServer server([](Peer& peer, const Seen&) {
    while (peer.send("HTTP/1.1 100 Continue\r\n\r\n")) {
    }
    peer.close();
  });
  EXPECT_EQ(error_of(server.url("/m")).code, ErrorCode::corrupt);
}

TEST(HttpClient, RefusesWhatIsNotHttp) {
  const TestServer server([](Peer& peer, const Seen&) {
    peer.send("SSH-2.0-OpenSSH_9.2\r\n");
    peer.close();
  });
  EXPECT_THAT(error_of(server.url("/m")).message, HasSubstr("does not speak HTTP"));
}

}  // namespace
}  // namespace berth::sources
