// TLS between the members of a cluster: net's server and client with certificates of an authority.
#include "cluster/certificates.h"
#include "net/testing.h"
#include "net/tls.h"

#include <gtest/gtest.h>

namespace berth::cluster {
namespace {

using net::testing::RunningServer;

class SecureChannelTest : public ::testing::Test {
 protected:
  Credential credential(std::string_view name, SystemTime when) const {
    Credential made{.certificate = "", .key = make_key().value()};
    made.certificate =
        sign(authority_, make_request(made.key).value(), name, when).value().certificate;
    return made;
  }

  std::shared_ptr<const net::Tls> tls(std::string_view name, SystemTime when) const {
    const auto own = credential(name, when);
    return net::Tls::make({.certificate = own.certificate,
                           .key = own.key,
                           .authority = authority_.certificate,
                           .fingerprint = ""})
        .value();
  }

  static net::Router routes() {
    net::Router router;
    router.add("GET", "/who", [](net::Exchange& exchange) -> net::Task<> {
      const auto& shown = exchange.request().certificate;
      co_await exchange.respond(net::text_response(200, shown ? shown->name : "nobody"));
    });
    router.add("POST", "/echo", [](net::Exchange& exchange) -> net::Task<> {
      auto body = co_await exchange.read_body();
      co_await exchange.respond(net::text_response(200, body.value_or("")));
    });
    router.add("GET", "/pieces", [](net::Exchange& exchange) -> net::Task<> {
      co_await exchange.start(200, {});
      for (int i = 0; i < 100; ++i) co_await exchange.write("piece " + std::to_string(i) + "\n");
      co_await exchange.finish();
    });
    return router;
  }

  RunningServer serve(SystemTime when) const {
    auto own = tls(server_name("c1"), when);
    net::ServerOptions options;
    options.tls = [own] { return own; };
    return RunningServer(routes(), std::move(options));
  }

  static Result<net::Response> ask(const RunningServer& server, net::TlsPeer peer,
                                   std::string target = "/who", std::string body = "") {
    net::ClientRequest request{.method = body.empty() ? "GET" : "POST",
                               .target = std::move(target)};
    request.body = std::move(body);
    request.tls = std::move(peer);
    return net::fetch_blocking(server.endpoint(), std::move(request));
  }

  SystemTime now_ = real_clock().system_now();
  Credential authority_ = make_authority("c1", now_).value();
  std::string server_ = server_name("c1");
  std::string worker_ = worker_name("c1", "box");
};

TEST_F(SecureChannelTest, TellsEachSideWhoTheOtherIs) {
  const auto server = serve(now_);
  const auto answer = ask(server, {.tls = tls(worker_, now_), .name = server_});
  ASSERT_TRUE(answer) << answer.error().to_string();
  EXPECT_EQ(answer->body, worker_);
}

TEST_F(SecureChannelTest, ServesClientsWithoutACertificateAsNobody) {
  const auto server = serve(now_);
  const auto nobody = net::Tls::make(
      {.certificate = "", .key = "", .authority = authority_.certificate, .fingerprint = ""});
  EXPECT_EQ(ask(server, {.tls = *nobody, .name = server_})->body, "nobody");
}

TEST_F(SecureChannelTest, RefusesAServerOfAnotherName) {
  const auto server = serve(now_);
  const auto answer = ask(server, {.tls = tls(worker_, now_), .name = worker_name("c1", "other")});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::unauthenticated);
  EXPECT_NE(answer.error().to_string().find(server_), std::string::npos);
}

TEST_F(SecureChannelTest, RefusesAServerOfAnotherAuthority) {
  const auto server = serve(now_);
  const auto other = make_authority("c1", now_).value();
  const auto stranger = net::Tls::make(
      {.certificate = "", .key = "", .authority = other.certificate, .fingerprint = ""});
  const auto answer = ask(server, {.tls = *stranger, .name = server_});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::unauthenticated);
}

TEST_F(SecureChannelTest, RefusesAClientOfAnotherAuthority) {
  const auto server = serve(now_);
  const auto other = make_authority("c1", now_).value();
  const auto key = make_key().value();
  const auto forged = sign(other, make_request(key).value(), worker_, now_).value();
  const auto stranger = net::Tls::make({.certificate = forged.certificate,
                                        .key = key,
                                        .authority = authority_.certificate,
                                        .fingerprint = ""});
  const auto answer = ask(server, {.tls = *stranger, .name = server_});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::unauthenticated) << answer.error().to_string();
}

TEST_F(SecureChannelTest, RefusesAnExpiredClientAndTellsItSo) {
  const auto server = serve(now_);
  const auto old = now_ - kMemberLifetime - std::chrono::hours(1);
  const auto answer = ask(server, {.tls = tls(worker_, old), .name = server_});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::unauthenticated);
  EXPECT_NE(answer.error().to_string().find("expired"), std::string::npos)
      << answer.error().to_string();
}

TEST_F(SecureChannelTest, ChecksTheTimeOfAServerUnlessToldNotTo) {
  const auto server = serve(now_ - kMemberLifetime - std::chrono::hours(1));
  EXPECT_FALSE(ask(server, {.tls = tls(worker_, now_), .name = server_}));
  const auto own = credential(worker_, now_);
  const auto patient = net::Tls::make({.certificate = own.certificate,
                                       .key = own.key,
                                       .authority = authority_.certificate,
                                       .fingerprint = "",
                                       .check_time = false});
  EXPECT_TRUE(ask(server, {.tls = *patient, .name = server_}));
}

TEST_F(SecureChannelTest, TrustsAChainByTheFingerprintOfItsAuthority) {
  const auto server = serve(now_);
  auto fingerprint = net::fingerprint_of(authority_.certificate).value();
  const auto pinned = [&] {
    return net::Tls::make(
        {.certificate = "", .key = "", .authority = "", .fingerprint = fingerprint});
  };
  EXPECT_EQ(ask(server, {.tls = pinned().value(), .name = ""})->body, "nobody");
  fingerprint = std::string(64, '0');
  const auto answer = ask(server, {.tls = pinned().value(), .name = ""});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::unauthenticated);
}

// A chain that shows the right authority, and a certificate that is not its own.
TEST_F(SecureChannelTest, AFingerprintIsNoUseToWhoOnlyShowsTheAuthority) {
  const auto other = make_authority("c1", now_).value();
  const auto key = make_key().value();
  const auto forged = sign(other, make_request(key).value(), server_, now_).value();
  const auto liar = net::Tls::make({.certificate = forged.certificate + authority_.certificate,
                                    .key = key,
                                    .authority = authority_.certificate,
                                    .fingerprint = ""});
  net::ServerOptions options;
  options.tls = [own = *liar] { return own; };
  const RunningServer server(routes(), std::move(options));
  const auto fingerprint = net::fingerprint_of(authority_.certificate).value();
  const auto pinned =
      net::Tls::make({.certificate = "", .key = "", .authority = "", .fingerprint = fingerprint});
  EXPECT_FALSE(ask(server, {.tls = *pinned, .name = ""}));
}

TEST_F(SecureChannelTest, CarriesLargeBodiesBothWays) {
  const auto server = serve(now_);
  std::string body;
  body.reserve(9'000'000);
  for (int i = 0; body.size() < 8'888'888; ++i) body += std::to_string(i);
  const auto answer = ask(server, {.tls = tls(worker_, now_), .name = server_}, "/echo", body);
  ASSERT_TRUE(answer) << answer.error().to_string();
  EXPECT_EQ(answer->body, body);
}

TEST_F(SecureChannelTest, CarriesStreams) {
  const auto server = serve(now_);
  const auto answer = ask(server, {.tls = tls(worker_, now_), .name = server_}, "/pieces");
  ASSERT_TRUE(answer) << answer.error().to_string();
  EXPECT_TRUE(answer->body.starts_with("piece 0\n"));
  EXPECT_TRUE(answer->body.ends_with("piece 99\n"));
}

TEST_F(SecureChannelTest, KeepsConnectionsForTheSamePeerOnly) {
  const auto server = serve(now_);
  const net::TlsPeer one{.tls = tls(worker_, now_), .name = server_};
  const net::TlsPeer other{.tls = tls(worker_name("c1", "two"), now_), .name = server_};
  const auto counted = net::run_blocking([&](net::IoContext& context) {
    return [](net::IoContext& io, net::Endpoint endpoint, net::TlsPeer first,
              net::TlsPeer second) -> net::Task<Result<std::vector<std::string>>> {
      net::Client client(io);
      std::vector<std::string> told;
      for (const auto& peer : {first, first, second}) {
        net::ClientRequest request{.target = "/who"};
        request.tls = peer;
        auto answer = co_await client.fetch(endpoint, std::move(request));
        if (!answer) co_return fail(std::move(answer).error());
        told.push_back(answer->body);
      }
      told.push_back(std::to_string(client.idle_connections()));
      co_return told;
    }(context, server.endpoint(), one, other);
  });
  ASSERT_TRUE(counted) << counted.error().to_string();
  EXPECT_EQ(*counted, (std::vector<std::string>{worker_, worker_, worker_name("c1", "two"), "2"}));
}

TEST_F(SecureChannelTest, PlainHttpIsNotServed) {
  const auto server = serve(now_);
  EXPECT_FALSE(ask(server, {}));
}

TEST_F(SecureChannelTest, SaysThatAServerDoesNotSpeakTls) {
  const RunningServer plain(routes());
  const auto answer = ask(plain, {.tls = tls(worker_, now_), .name = server_});
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, ErrorCode::unavailable);
  EXPECT_NE(answer.error().to_string().find("does not speak TLS"), std::string::npos)
      << answer.error().to_string();
}

TEST_F(SecureChannelTest, ClosesAConnectionThatNeverGreets) {
  net::ServerOptions options;
  const auto own = tls(server_, now_);
  options.tls = [own] { return own; };
  options.deadlines.handshake = std::chrono::milliseconds(50);
  const RunningServer server(routes(), std::move(options));
  net::testing::RawConnection silent(server.endpoint());
  EXPECT_EQ(silent.receive_all(), "");
}

}  // namespace
}  // namespace berth::cluster
