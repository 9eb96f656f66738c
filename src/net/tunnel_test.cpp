#include "net/tunnel.h"

#include "net/client.h"
#include "net/testing.h"

#include <gmock/gmock.h>

namespace berth::net {
namespace {

using std::chrono::seconds;
using ::testing::HasSubstr;
using testing::RunningServer;

constexpr Duration kLimit = seconds(20);

// What comes, sent back, until "bye".
Task<> echo_bytes(Exchange& exchange) {
  auto upgraded = co_await exchange.upgrade(std::string(kTunnelProtocol));
  if (!upgraded) {
    co_await exchange.respond(error_response(upgraded.error()));
    co_return;
  }
  const auto transport = *std::move(upgraded);
  for (;;) {
    const std::string bytes(transport->input());
    transport->consume(bytes.size());
    if (bytes == "bye") co_return;
    const auto written = co_await transport->write({bytes, "", ""}, kLimit);
    if (!written) co_return;
    const auto read = co_await transport->read_more(kLimit);
    if (!read || *read == 0) co_return;
  }
}

Task<> refuse(Exchange& exchange) {
  co_await exchange.respond(error_response(make_error(ErrorCode::permission_denied, "not you")));
}

Router routes() {
  Router router;
  router.add("GET", "/echo", echo_bytes);
  router.add("GET", "/closed", refuse);
  return router;
}

// Fails where the connection ends before.
Task<Result<std::string>> read_bytes(std::shared_ptr<Transport> transport, std::size_t count) {
  std::string bytes;
  for (;;) {
    bytes += transport->input();
    transport->consume(transport->input().size());
    if (bytes.size() >= count) co_return bytes;
    const auto read = co_await transport->read_more(kLimit);
    BERTH_CO_CHECK(read);
    if (*read == 0) co_return fail(ErrorCode::unavailable, "closed");
  }
}

Task<Result<std::shared_ptr<Transport>>> open_to(Endpoint endpoint, std::string target) {
  return open_tunnel({.endpoint = std::move(endpoint), .tls = {}}, std::move(target), kLimit);
}

Task<Result<std::string>> through_entry(IoContext& context, Endpoint server, std::string target,
                                        std::string bytes) {
  auto listening = TunnelEntry::listen(context, 0, [&] { return open_to(server, target); });
  BERTH_CO_TRY(const auto entry, std::move(listening));
  const Peer way_in{.endpoint = {"127.0.0.1", entry->port()}, .tls = {}};
  auto connected = co_await connect_to(way_in, kLimit);
  BERTH_CO_TRY(const auto transport, std::move(connected));
  auto reading = read_bytes(transport, bytes.size());
  const auto written = co_await transport->write({bytes, "", ""}, kLimit);
  BERTH_CO_CHECK(written);
  auto read = co_await std::move(reading);
  entry->stop();
  co_return read;
}

TEST(Tunnel, PassesBytesBothWays) {
  const RunningServer server(routes());
  std::string bytes(200'000, ' ');
  for (std::size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<char>(i * 7 % 251);
  const auto read = run_blocking([&](IoContext& context) {
    return through_entry(context, server.endpoint(), "/echo", bytes);
  });
  ASSERT_TRUE(read.has_value()) << read.error().to_string();
  EXPECT_EQ(*read, bytes);
}

TEST(Tunnel, ClosesTheOtherEndToo) {
  const RunningServer server(routes());
  const auto read = run_blocking([&](IoContext& context) {
    return through_entry(context, server.endpoint(), "/echo", "bye");
  });
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().code, ErrorCode::unavailable) << read.error().to_string();
}

TEST(Tunnel, ClosesAConnectionThatGetsNoTunnel) {
  const RunningServer server(routes());
  const auto read = run_blocking([&](IoContext& context) {
    return through_entry(context, server.endpoint(), "/closed", "hello");
  });
  ASSERT_FALSE(read.has_value());
  EXPECT_EQ(read.error().code, ErrorCode::unavailable) << read.error().to_string();
}

TEST(Tunnel, SaysWhyItIsRefused) {
  const RunningServer server(routes());
  const auto opened =
      run_blocking([&](IoContext&) { return open_to(server.endpoint(), "/closed"); });
  ASSERT_FALSE(opened.has_value());
  EXPECT_THAT(opened.error().to_string(), HasSubstr("refused: 403"));
}

Task<Result<Response>> plain(IoContext& context, Endpoint endpoint) {
  ClientRequest request;
  request.target = "/echo";
  co_return co_await Client::of(context).fetch(std::move(endpoint), std::move(request));
}

TEST(Tunnel, NeedsAnUpgrade) {
  const RunningServer server(routes());
  const auto answer =
      run_blocking([&](IoContext& context) { return plain(context, server.endpoint()); });
  ASSERT_TRUE(answer.has_value()) << answer.error().to_string();
  EXPECT_EQ(answer->status, 400);
  EXPECT_THAT(answer->body, HasSubstr("berth-tunnel"));
}

}  // namespace
}  // namespace berth::net
