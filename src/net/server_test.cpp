#include "net/server.h"

#include "net/testing.h"
#include "net/transport.h"

#include <atomic>
#include <future>
#include <mutex>
#include <stdexcept>
#include <thread>

#include <gmock/gmock.h>

namespace berth::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using testing::RawConnection;
using testing::RunningServer;
using ::testing::StartsWith;

constexpr std::string_view kGet = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
constexpr std::string_view kGetClose = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";

Task<> hello(Exchange& exchange) { co_await exchange.respond(text_response(200, "hello")); }

Task<> echo(Exchange& exchange) {
  auto body = co_await exchange.read_body(1000_B);
  if (!body) {
    co_await exchange.respond(error_response(body.error()));
    co_return;
  }
  co_await exchange.respond(text_response(200, *body));
}

// Sends the body back piece by piece, while it comes.
Task<> echo_stream(Exchange& exchange) {
  co_await exchange.start(200, {});
  for (;;) {
    const auto piece = co_await exchange.read_some();
    if (!piece || !*piece) break;
    co_await exchange.write(**piece);
  }
  co_await exchange.finish();
}

Task<> throwing(Exchange& exchange) {
  co_await sleep_for(milliseconds(0));
  if (exchange.request().method == "GET") throw std::runtime_error("a bug");
}

Task<> silent(Exchange&) { co_return; }

Router sample() {
  Router router;
  router.add("GET", "/", hello);
  router.add("POST", "/echo", echo);
  router.add("POST", "/stream", echo_stream);
  router.add("GET", "/throw", throwing);
  router.add("GET", "/silent", silent);
  return router;
}

std::string exchange_raw(const Endpoint& endpoint, std::string_view bytes) {
  RawConnection connection(endpoint);
  connection.send(bytes);
  return connection.receive_all();
}

TEST(Server, AnswersWithTheHeadersOfEveryAnswer) {
  RunningServer server(sample());
  const std::string answer = exchange_raw(server.endpoint(), kGetClose);
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("Content-Length: 5\r\n"));
  EXPECT_THAT(answer, HasSubstr("Connection: close\r\n"));
  EXPECT_THAT(answer, HasSubstr("x-request-id: "));
  EXPECT_THAT(answer, HasSubstr("Date: "));
  EXPECT_THAT(answer, EndsWith("\r\n\r\nhello"));
}

TEST(Server, KeepsAndPipelinesConnections) {
  RunningServer server(sample());
  const std::string three = std::string(kGet) + std::string(kGet) + std::string(kGetClose);
  const std::string answer = exchange_raw(server.endpoint(), three);
  std::size_t count = 0;
  for (auto at = answer.find("hello"); at != std::string::npos; at = answer.find("hello", at + 1)) {
    ++count;
  }
  EXPECT_EQ(count, 3U) << answer;
}

TEST(Server, ServesHttp10AndHead) {
  RunningServer server(sample());
  const std::string old = exchange_raw(server.endpoint(), "GET / HTTP/1.0\r\n\r\n");
  EXPECT_THAT(old, EndsWith("\r\n\r\nhello"));
  const std::string stream =
      exchange_raw(server.endpoint(), "POST /stream HTTP/1.0\r\nContent-Length: 3\r\n\r\nabc");
  EXPECT_THAT(stream, Not(HasSubstr("Transfer-Encoding")));
  EXPECT_THAT(stream, EndsWith("\r\n\r\nabc"));
  const std::string head =
      exchange_raw(server.endpoint(), "HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  EXPECT_THAT(head, HasSubstr("Content-Length: 5\r\n"));
  EXPECT_THAT(head, EndsWith("\r\n\r\n"));
}

TEST(Server, ReturnsASaneRequestId) {
  RunningServer server(sample());
  const auto ask = [&](std::string_view id) {
    return exchange_raw(server.endpoint(), fmt::format("GET / HTTP/1.1\r\nHost: x\r\nX-Request-Id: "
                                                       "{}\r\nConnection: close\r\n\r\n",
                                                       id));
  };
  EXPECT_THAT(ask("abc-1"), HasSubstr("x-request-id: abc-1\r\n"));
  EXPECT_THAT(ask("with space"), Not(HasSubstr("with space")));
  EXPECT_THAT(ask(std::string(200, 'x')), Not(HasSubstr("xxxx")));
}

TEST(Server, RefusesWhatIsMalformed) {
  RunningServer server(sample());
  struct Case {
    std::string bytes;
    const char* status;
  };
  const Case cases[] = {
      {"nonsense\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\n\r\n", "400"},
      {"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n"
       "0\r\n\r\n" +
           std::string(kGet),
       "400"},
      {"POST /echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n\r\n", "400"},
      {"GET / HTTP/1.1\r\nHost: x\r\nA: " + std::string(70000, 'x') + "\r\n\r\n", "431"},
      {"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2000\r\n\r\n" + std::string(2000, 'x') +
           std::string(kGetClose),
       "413"},
      {"POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
       "7d0\r\n" +
           std::string(2000, 'x') + "\r\n0\r\n\r\n",
       "413"},
      {"GET /unknown HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "404"},
      {"PUT / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "405"},
      {"GET /throw HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "500"},
      {"GET /silent HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "500"},
  };
  for (const auto& c : cases) {
    const std::string answer = exchange_raw(server.endpoint(), c.bytes);
    EXPECT_THAT(answer, StartsWith(std::string("HTTP/1.1 ") + c.status)) << c.bytes.substr(0, 200);
    EXPECT_THAT(answer, HasSubstr(R"({"error":{"message":")")) << c.bytes.substr(0, 200);
  }
}

TEST(Server, KeepsTheConnectionWhenABodyIsLeftUnread) {
  RunningServer server(sample());
  const std::string body(5000, 'x');
  const std::string answer = exchange_raw(
      server.endpoint(), "GET / HTTP/1.1\r\nHost: x\r\nContent-Length: 5000\r\n\r\n" + body +
                             "POST /echo HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
                             "Content-Length: 3\r\n\r\nabc");
  EXPECT_THAT(answer, EndsWith("\r\n\r\nabc"));
}

TEST(Server, SendsContinueOnlyWhenTheBodyIsWanted) {
  RunningServer server(sample());
  RawConnection wanted(server.endpoint());
  wanted.send(
      "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
  EXPECT_EQ(wanted.receive_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
  wanted.send("abc");
  EXPECT_THAT(wanted.receive_until("abc"), StartsWith("HTTP/1.1 200 OK"));

  RawConnection unwanted(server.endpoint());
  unwanted.send(
      "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3000\r\n\r\n");
  EXPECT_THAT(unwanted.receive_all(), StartsWith("HTTP/1.1 413"));
}

TEST(Server, StreamsBothWaysAtOnce) {
  RunningServer server(sample());
  RawConnection connection(server.endpoint());
  connection.send("POST /stream HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n");
  EXPECT_THAT(connection.receive_until("\r\n\r\n"), HasSubstr("Transfer-Encoding: chunked"));
  for (const std::string text : {"one", "two", "three"}) {
    connection.send(fmt::format("{:x}\r\n{}\r\n", text.size(), text));
    EXPECT_EQ(connection.receive_until(text + "\r\n"),
              fmt::format("{:x}\r\n{}\r\n", text.size(), text));
  }
  connection.send("0\r\n\r\n");
  EXPECT_EQ(connection.receive_until("0\r\n\r\n"), "0\r\n\r\n");
  connection.send(kGet);
  EXPECT_THAT(connection.receive_until("hello"), StartsWith("HTTP/1.1 200"));
}

// What a handler that is still waiting told the test.
struct Signal {
  std::promise<std::string> promise;
  std::future<std::string> future = promise.get_future();
  std::string get() {
    return future.wait_for(seconds(10)) == std::future_status::ready ? future.get() : "nothing";
  }
};

Task<Result<int>> forever() {
  co_await sleep_for(std::chrono::hours(1));
  co_return 1;
}

Task<> wait_unless_gone(Exchange& exchange, std::promise<std::string>& told) {
  const auto result = co_await exchange.unless_gone(forever());
  told.set_value(result ? "done" : std::string(name_of(result.error().code)));
}

Task<> wait_with_callback(Exchange& exchange, std::promise<std::string>& told) {
  Timer timer(exchange.executor(), std::chrono::hours(1));
  exchange.on_client_gone([&timer] { timer.cancel(); });
  co_await timer.async_wait(use_task);
  told.set_value(exchange.gone() ? "gone" : "not gone");
}

TEST(Server, TellsAWaitingHandlerThatTheClientLeft) {
  Signal race;
  Signal callback;
  std::atomic<int> status = 0;
  Router router;
  router.add("GET", "/race", [&](Exchange& x) { return wait_unless_gone(x, race.promise); });
  router.add("GET", "/callback",
             [&](Exchange& x) { return wait_with_callback(x, callback.promise); });
  ServerOptions options;
  options.on_done = [&](const Request&, int code, Duration) { status = code; };
  RunningServer server(std::move(router), options);

  RawConnection first(server.endpoint());
  first.send("GET /race HTTP/1.1\r\nHost: x\r\n\r\n");
  first.close();
  EXPECT_EQ(race.get(), "cancelled");

  RawConnection second(server.endpoint());
  second.send("GET /callback HTTP/1.1\r\nHost: x\r\n\r\n");
  second.close();
  EXPECT_EQ(callback.get(), "gone");
  server->stop(seconds(5));
  EXPECT_EQ(status, 499);
}

// Takes its callback back while the call may already be on its way.
Task<> take_back_in_time(Exchange& exchange, std::atomic<int>& late_calls, Signal& told) {
  auto taken_back = std::make_shared<std::atomic<bool>>(false);
  exchange.on_client_gone([taken_back, &late_calls] { late_calls += taken_back->load() ? 1 : 0; });
  auto sent = co_await exchange.start(200, {});
  const std::string piece(64 << 10, 'x');
  while (sent) sent = co_await exchange.write(piece);
  exchange.on_client_gone({});
  *taken_back = true;
  co_await sleep_for(milliseconds(20));
  told.promise.set_value("ended");
}

TEST(Server, CallsNoCallbackThatWasTakenBack) {
  std::atomic<int> late_calls = 0;
  for (int round = 0; round < 10; ++round) {
    Signal told;
    Router router;
    router.add("GET", "/", [&](Exchange& x) { return take_back_in_time(x, late_calls, told); });
    RunningServer server(std::move(router));
    RawConnection connection(server.endpoint());
    connection.send("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    connection.receive_until("xxxx");
    connection.close();
    EXPECT_EQ(told.get(), "ended");
  }
  EXPECT_EQ(late_calls, 0);
}

Task<Result<int>> soon(Duration duration) {
  co_await sleep_for(duration);
  co_return 1;
}

Task<> answer_later(Exchange& exchange) {
  const auto result = co_await exchange.unless_gone(soon(milliseconds(50)));
  if (result) co_await exchange.respond(text_response(200, "later"));
}

TEST(Server, KeepsAPipelinedRequestWhileItWatchesForTheEnd) {
  Router router = sample();
  router.add("GET", "/later", answer_later);
  RunningServer server(std::move(router));
  RawConnection connection(server.endpoint());
  connection.send("GET /later HTTP/1.1\r\nHost: x\r\n\r\nGET / HT");
  connection.send("TP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(connection.receive_until("later"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(connection.receive_until("hello"), StartsWith("HTTP/1.1 200"));
}

TEST(Server, EndsWaitsAtTheirDeadlines) {
  ServerOptions options;
  options.deadlines.head = milliseconds(50);
  options.deadlines.idle = milliseconds(50);
  options.deadlines.body = milliseconds(50);
  RunningServer server(sample(), options);
  EXPECT_EQ(exchange_raw(server.endpoint(), ""), "");
  EXPECT_THAT(exchange_raw(server.endpoint(), "GET / HT"), StartsWith("HTTP/1.1 408"));
  EXPECT_THAT(exchange_raw(server.endpoint(),
                           "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc"),
              StartsWith("HTTP/1.1 504"));
}

Task<> flood(Exchange& exchange, std::promise<std::string>& told) {
  co_await exchange.start(200, {});
  const std::string piece(64 * 1024, 'x');
  for (;;) {
    const auto written = co_await exchange.write(piece);
    if (written) continue;
    told.set_value(std::string(name_of(written.error().code)));
    co_return;
  }
}

TEST(Server, GivesUpOnAClientThatDoesNotRead) {
  Signal told;
  Router router;
  router.add("GET", "/", [&](Exchange& x) { return flood(x, told.promise); });
  ServerOptions options;
  options.deadlines.write = milliseconds(100);
  RunningServer server(std::move(router), options);
  RawConnection connection(server.endpoint(), 4096);
  connection.send(kGet);
  EXPECT_EQ(told.get(), "timeout");
}

TEST(Server, BoundsItsConnections) {
  ServerOptions options;
  options.max_connections = 1;
  RunningServer server(sample(), options);
  RawConnection first(server.endpoint());
  first.send(kGet);
  EXPECT_THAT(first.receive_until("hello"), StartsWith("HTTP/1.1 200"));
  EXPECT_THAT(exchange_raw(server.endpoint(), kGet), StartsWith("HTTP/1.1 503"));
}

Task<> tell_and_answer_later(Exchange& exchange, std::promise<std::string>& told) {
  told.set_value("begun");
  co_await answer_later(exchange);
}

TEST(Server, StopsWhenRequestsHaveEnded) {
  Signal told;
  Router router = sample();
  router.add("GET", "/later", [&](Exchange& x) { return tell_and_answer_later(x, told.promise); });
  RunningServer server(std::move(router));
  RawConnection idle(server.endpoint());
  idle.send(kGet);
  EXPECT_THAT(idle.receive_until("hello"), StartsWith("HTTP/1.1 200"));
  RawConnection busy(server.endpoint());
  busy.send("GET /later HTTP/1.1\r\nHost: x\r\n\r\n");
  ASSERT_EQ(told.get(), "begun");
  server->stop(seconds(10));
  EXPECT_THAT(busy.receive_all(), EndsWith("later"));
  EXPECT_EQ(idle.receive_all(), "");
  EXPECT_EQ(server->connections(), 0U);
  server->stop(seconds(10));
}

Task<> hang(Exchange& exchange, std::promise<std::string>& told) {
  told.set_value("begun");
  co_await forever();
  co_await exchange.respond(text_response(200, "never"));
}

TEST(Server, CancelsRequestsThatOutlastTheGrace) {
  Signal told;
  Router router;
  router.add("GET", "/", [&](Exchange& x) { return hang(x, told.promise); });
  RunningServer server(std::move(router));
  RawConnection connection(server.endpoint());
  connection.send(kGet);
  ASSERT_EQ(told.get(), "begun");
  server->stop(milliseconds(10));
  EXPECT_EQ(connection.receive_all(), "");
  EXPECT_EQ(server->connections(), 0U);
}

TEST(Server, SaysThatAPortIsTaken) {
  for (const std::size_t threads : {std::size_t{1}, std::size_t{2}}) {
    ServerOptions options;
    options.threads = threads;
    RunningServer server(sample(), options);
    options.address = server.endpoint();
    const auto second = Server::listen(options, sample());
    ASSERT_FALSE(second);
    EXPECT_EQ(second.error().code, ErrorCode::unavailable);
    EXPECT_THAT(
        second.error().message,
        HasSubstr(fmt::format("cannot listen on 127.0.0.1:{}: the port is taken", server->port())));
  }
}

TEST(Server, ServesOnSeveralThreads) {
  ServerOptions options;
  options.threads = 3;
  std::atomic<int> done = 0;
  options.on_done = [&](const Request&, int, Duration) { ++done; };
  RunningServer server(sample(), options);
  for (int i = 0; i < 30; ++i) {
    EXPECT_THAT(exchange_raw(server.endpoint(), kGetClose), EndsWith("hello"));
  }
  server->stop(seconds(5));
  EXPECT_EQ(done, 30);
}

TEST(Server, ServesOnAContextThatItIsGiven) {
  IoContext context(1);
  ServerOptions options;
  options.contexts = {&context};
  RunningServer server(sample(), options);
  std::thread thread([&] { context.run(); });
  EXPECT_THAT(exchange_raw(server.endpoint(), kGetClose), EndsWith("hello"));
  server->stop(seconds(5));
  thread.join();
}

}  // namespace
}  // namespace berth::net
