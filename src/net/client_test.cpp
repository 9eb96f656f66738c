#include "net/client.h"

#include "net/sse.h"
#include "net/testing.h"
#include "net/transport.h"

#include <atomic>
#include <functional>
#include <future>
#include <thread>

#include <gmock/gmock.h>

namespace berth::net {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::HasSubstr;
using testing::RunningServer;
namespace asio = boost::asio;

Task<> hello(Exchange& exchange) {
  co_await exchange.respond(text_response(200, exchange.request().peer));
}

Task<> echo(Exchange& exchange) {
  auto body = co_await exchange.read_body();
  if (body) co_await exchange.respond(text_response(200, *body));
}

Task<> events(Exchange& exchange) {
  co_await exchange.start(200, {{"Content-Type", "text/event-stream"}});
  for (const char* data : {"one", "two", "three"}) {
    const std::string text = sse_data(data);
    co_await exchange.write(text);
    co_await sleep_for(milliseconds(5));
  }
  co_await exchange.finish();
}

Task<> slow(Exchange& exchange) {
  co_await sleep_for(seconds(1));
  co_await exchange.respond(text_response(200, "slow"));
}

Router sample() {
  Router router;
  router.add("GET", "/", hello);
  router.add("POST", "/echo", echo);
  router.add("GET", "/events", events);
  router.add("GET", "/slow", slow);
  return router;
}

// Accepts connections on a thread of its own and gives the n-th to `serve`.
class RawServer {
 public:
  using Tcp = asio::ip::tcp;
  explicit RawServer(std::function<void(Tcp::socket, int)> serve)
      : acceptor_(context_, {asio::ip::make_address("127.0.0.1"), 0}),
        thread_([this, serve = std::move(serve)] {
          for (int n = 0;; ++n) {
            Tcp::socket socket(context_);
            acceptor_.accept(socket);
            if (ending_) return;
            ++accepted_;
            serve(std::move(socket), n);
          }
        }) {}
  ~RawServer() {
    ending_ = true;
    Tcp::socket last(context_);
    last.connect(acceptor_.local_endpoint());
    thread_.join();
  }
  [[nodiscard]] Endpoint endpoint() const {
    return {"127.0.0.1", acceptor_.local_endpoint().port()};
  }
  [[nodiscard]] int accepted() const { return accepted_; }

  static std::string read_head(Tcp::socket& socket) {
    std::string text;
    char byte = 0;
    boost::system::error_code error;
    while (text.find("\r\n\r\n") == std::string::npos) {
      if (socket.read_some(asio::buffer(&byte, 1), error) != 1) break;
      text += byte;
    }
    return text;
  }

 private:
  asio::io_context context_;
  Tcp::acceptor acceptor_;
  std::atomic<bool> ending_ = false;
  std::atomic<int> accepted_ = 0;
  std::thread thread_;
};

void answer_ok(asio::ip::tcp::socket& socket) {
  RawServer::read_head(socket);
  const std::string answer = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
  boost::system::error_code ignored;
  asio::write(socket, asio::buffer(answer), ignored);
}

Task<Result<std::vector<std::string>>> fetch_twice(IoContext& context, Endpoint endpoint,
                                                   ClientRequest request) {
  Client client(context);
  std::vector<std::string> bodies;
  for (int i = 0; i < 2; ++i) {
    auto response = co_await client.fetch(endpoint, request);
    if (!response) co_return fail(std::move(response).error());
    bodies.push_back(response->body);
  }
  co_return bodies;
}

TEST(Client, KeepsConnections) {
  RunningServer server(sample());
  const auto bodies =
      run_blocking([&](IoContext& context) { return fetch_twice(context, server.endpoint(), {}); });
  ASSERT_TRUE(bodies) << bodies.error().to_string();
  EXPECT_EQ((*bodies)[0], (*bodies)[1]);  // the server saw the same peer
}

TEST(Client, SendsAndReceivesBodies) {
  RunningServer server(sample());
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{5'000'000}}) {
    const std::string body(size, 'x');
    const auto response = fetch_blocking(
        server.endpoint(), {.method = "POST", .target = "/echo", .headers = {}, .body = body});
    ASSERT_TRUE(response) << response.error().to_string();
    EXPECT_TRUE(response->body == body) << size;
  }
}

struct Pieces {
  int left = 3;
  Task<Result<BodyPiece>> next() {
    co_await sleep_for(milliseconds(1));
    if (left-- == 0) co_return BodyPiece();
    co_return BodyPiece("piece ");
  }
};

TEST(Client, SendsABodyInPieces) {
  RunningServer server(sample());
  Pieces pieces;
  ClientRequest request{.method = "POST", .target = "/echo", .headers = {}, .body = {}};
  request.body_stream = [&pieces] { return pieces.next(); };
  const auto response = fetch_blocking(server.endpoint(), std::move(request));
  ASSERT_TRUE(response) << response.error().to_string();
  EXPECT_EQ(response->body, "piece piece piece ");
}

TEST(Client, SeesEventsAsTheyCome) {
  RunningServer server(sample());
  SseParser parser;
  std::vector<std::string> data;
  std::size_t pieces = 0;
  const auto result = stream_blocking(
      server.endpoint(), {.method = "GET", .target = "/events"}, {}, seconds(5),
      [](int status, const Headers& headers) {
        EXPECT_EQ(status, 200);
        EXPECT_EQ(headers.get("content-type"), "text/event-stream");
        return true;
      },
      [&](std::string_view bytes) {
        ++pieces;
        const auto found = parser.feed(bytes);
        for (const auto& event : *found) data.push_back(event.data);
        return true;
      });
  ASSERT_TRUE(result) << result.error().to_string();
  EXPECT_EQ(data, (std::vector<std::string>{"one", "two", "three"}));
  EXPECT_EQ(pieces, 3U);
}

TEST(Client, NamesWhoRefused) {
  Endpoint nobody;
  {
    RunningServer server(sample());
    nobody = server.endpoint();
  }
  const auto response = fetch_blocking(nobody, {});
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::unavailable);
  EXPECT_THAT(response.error().to_string(), HasSubstr(to_string(nobody)));
  EXPECT_THAT(response.error().to_string(), HasSubstr("refused"));
}

TEST(Client, GivesUpAtTheDeadline) {
  RunningServer server(sample());
  const auto response = fetch_blocking(server.endpoint(), {.method = "GET", .target = "/slow"},
                                       {.head = milliseconds(20)});
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::timeout);
}

TEST(Client, RefusesToBreakOutOfTheRequestLine) {
  const auto response =
      fetch_blocking({"127.0.0.1", 1}, {.method = "GET", .target = "/ HTTP/1.1\r\n"});
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::invalid_request);
}

TEST(Client, RepeatsOnceOnAStaleConnection) {
  // The first connection answers once, reads the second request, and closes without an answer.
  RawServer server([](asio::ip::tcp::socket socket, int n) {
    answer_ok(socket);
    if (n == 0) RawServer::read_head(socket);
  });
  const auto bodies =
      run_blocking([&](IoContext& context) { return fetch_twice(context, server.endpoint(), {}); });
  ASSERT_TRUE(bodies) << bodies.error().to_string();
  EXPECT_EQ(server.accepted(), 2);
}

TEST(Client, DoesNotRepeatOnAFreshConnection) {
  RawServer server([](asio::ip::tcp::socket socket, int) { RawServer::read_head(socket); });
  const auto response = fetch_blocking(server.endpoint(), {});
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::unavailable);
  EXPECT_EQ(server.accepted(), 1);
}

TEST(Client, NoticesAnAnswerThatBreaksOff) {
  RawServer server([](asio::ip::tcp::socket socket, int) {
    RawServer::read_head(socket);
    asio::write(socket,
                asio::buffer(std::string_view("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nabc")));
  });
  const auto response = fetch_blocking(server.endpoint(), {});
  ASSERT_FALSE(response);
  EXPECT_EQ(response.error().code, ErrorCode::unavailable);
}

TEST(Client, ReadsPastInterimAnswersAndBoundsBodies) {
  RawServer server([](asio::ip::tcp::socket socket, int) {
    RawServer::read_head(socket);
    boost::system::error_code ignored;
    asio::write(socket,
                asio::buffer(std::string_view("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n"
                                              "\r\nup to the end")),
                ignored);
  });
  const auto response = fetch_blocking(server.endpoint(), {});
  ASSERT_TRUE(response) << response.error().to_string();
  EXPECT_EQ(response->body, "up to the end");
  const auto bounded = fetch_blocking(server.endpoint(), {}, {}, 5_B);
  ASSERT_FALSE(bounded);
  EXPECT_EQ(bounded.error().code, ErrorCode::too_large);
}

TEST(Client, TellsTheServerWhenAnAnswerIsDropped) {
  std::promise<bool> closed;
  RawServer server([&](asio::ip::tcp::socket socket, int) {
    RawServer::read_head(socket);
    asio::write(socket, asio::buffer(std::string_view(
                            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n")));
    char byte = 0;
    boost::system::error_code error;
    socket.read_some(asio::buffer(&byte, 1), error);
    closed.set_value(error.failed());
  });
  const auto result = stream_blocking(
      server.endpoint(), {}, {}, seconds(5), [](int, const Headers&) { return true; },
      [](std::string_view) { return false; });
  EXPECT_TRUE(result);
  EXPECT_TRUE(closed.get_future().get());
}

// The gateway's way in small: a handler passes the answer of another server on.
Task<> relay(Exchange& exchange, Endpoint upstream, std::string target) {
  Client& client = Client::of(exchange.executor().context());
  ClientRequest request{.method = "GET", .target = std::move(target)};
  auto answer = co_await exchange.unless_gone(client.send(upstream, std::move(request)));
  if (!answer) {
    co_await exchange.respond(error_response(answer.error()));
    co_return;
  }
  exchange.on_client_gone([&answer] { answer->abort(); });
  co_await exchange.start(answer->status(), {});
  for (;;) {
    const auto piece = co_await answer->read_some(seconds(5));
    if (!piece || !*piece) break;
    const auto written = co_await exchange.write(**piece);
    if (!written) co_return;
  }
  co_await exchange.finish();
}

Task<> endless(Exchange& exchange, std::promise<bool>& ended) {
  co_await exchange.start(200, {});
  co_await exchange.write("begun");
  co_await exchange.client_gone();
  ended.set_value(exchange.gone());
}

Task<Result<void>> aborted(IoContext& context, Endpoint to, Duration after) {
  Client client(context);
  ClientRequest request;
  request.target = "/endless-head";
  request.abort = std::make_shared<Abort>();
  Timer timer(context.get_executor());
  timer.expires_after(after);
  timer.async_wait([abort = request.abort](const boost::system::error_code&) { abort->abort(); });
  auto answer = co_await client.send(std::move(to), std::move(request));
  if (!answer) co_return fail(std::move(answer).error());
  co_return Result<void>{};
}

Task<> until_gone(Exchange& exchange) { co_await exchange.client_gone(); }

TEST(Abort, EndsARequestThatWaitsForItsAnswer) {
  Router router;
  router.add("GET", "/endless-head", until_gone);
  RunningServer server(std::move(router));
  for (const auto after : {milliseconds(0), milliseconds(50)}) {
    const auto done = run_blocking(
        [&](IoContext& context) { return aborted(context, server.endpoint(), after); });
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().code, ErrorCode::cancelled) << done.error().to_string();
  }
}

TEST(Relay, PassesAStreamAndItsEndOn) {
  std::promise<bool> ended;
  Router router = sample();
  router.add("GET", "/endless", [&](Exchange& x) { return endless(x, ended); });
  RunningServer upstream(std::move(router));
  Router front;
  const Endpoint to = upstream.endpoint();
  front.add("GET", "/events", [to](Exchange& x) { return relay(x, to, "/events"); });
  front.add("GET", "/endless", [to](Exchange& x) { return relay(x, to, "/endless"); });
  RunningServer server(std::move(front));

  const auto response = fetch_blocking(server.endpoint(), {.method = "GET", .target = "/events"});
  ASSERT_TRUE(response) << response.error().to_string();
  EXPECT_EQ(response->body, "data: one\n\ndata: two\n\ndata: three\n\n");

  testing::RawConnection client(server.endpoint());
  client.send("GET /endless HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(client.receive_until("begun"), HasSubstr("HTTP/1.1 200"));
  client.close();
  auto future = ended.get_future();
  ASSERT_EQ(future.wait_for(seconds(10)), std::future_status::ready);
  EXPECT_TRUE(future.get());
}

}  // namespace
}  // namespace berth::net
