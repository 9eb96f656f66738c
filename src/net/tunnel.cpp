#include "net/tunnel.h"

#include <algorithm>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <spdlog/spdlog.h>

namespace berth::net {
namespace {

constexpr std::size_t kMostConnections = 64;
constexpr Bytes kHeadLimit = 16_KiB;
constexpr Duration kSilence = std::chrono::hours(24 * 365);
constexpr Duration kWritePatience = std::chrono::minutes(5);  // without progress
constexpr Duration kAcceptBackoff = std::chrono::milliseconds(100);

Task<Result<void>> forward(std::shared_ptr<Transport> from, std::shared_ptr<Transport> to) {
  for (;;) {
    if (const auto bytes = from->input(); !bytes.empty()) {
      Transport::Pieces pieces{bytes, "", ""};
      if (!to->write_now(pieces)) {
        const auto written = co_await to->write(pieces, kWritePatience);
        BERTH_CO_CHECK(written);
      }
      from->consume(bytes.size());
    }
    const auto read = co_await from->read_more(kSilence);
    BERTH_CO_CHECK(read);
    if (*read == 0) co_return Result<void>{};
  }
}

Task<> forward_to_end(std::shared_ptr<Transport> from, std::shared_ptr<Transport> to) {
  co_await forward(std::move(from), std::move(to));
}

// "503 Service Unavailable" of the head's first line.
std::string_view status_of(std::string_view head) {
  head = head.substr(0, head.find('\r'));
  head.remove_prefix(std::min(head.find(' '), head.size() - 1) + 1);
  return head;
}

// The bytes behind the head stay as input.
Task<Result<void>> read_answer(Transport& transport, Duration limit) {
  constexpr std::string_view kEnd = "\r\n\r\n";
  for (;;) {
    const auto head = transport.input();
    if (const auto end = head.find(kEnd); end != std::string_view::npos) {
      if (!head.starts_with("HTTP/1.1 101 ")) {
        co_return fail(ErrorCode::unavailable, "the tunnel was refused: {}", status_of(head));
      }
      transport.consume(end + kEnd.size());
      co_return Result<void>{};
    }
    if (head.size() > kHeadLimit.count) {
      co_return fail(ErrorCode::unavailable, "the tunnel was answered with something else");
    }
    const auto read = co_await transport.read_more(limit);
    BERTH_CO_CHECK(read);
    if (*read == 0) co_return fail(ErrorCode::unavailable, "the tunnel was closed");
  }
}

}  // namespace

Task<> splice(std::shared_ptr<Transport> one, std::shared_ptr<Transport> other) {
  co_await unless(forward(one, other), forward_to_end(other, one),
                  make_error(ErrorCode::cancelled, "closed"));
  one->close();
  other->close();
}

Task<Result<std::shared_ptr<Transport>>> open_tunnel(Peer peer, std::string target,
                                                     Duration limit) {
  const std::string host = to_string(peer.endpoint);
  auto connected = co_await connect_to(std::move(peer), limit);
  BERTH_CO_TRY(auto transport, std::move(connected));
  const std::string head =
      fmt::format("GET {} HTTP/1.1\r\nHost: {}\r\nConnection: Upgrade\r\nUpgrade: {}\r\n\r\n",
                  target, host, kTunnelProtocol);
  const auto sent = co_await transport->write({head, "", ""}, limit);
  BERTH_CO_CHECK(sent);
  auto answered = co_await read_answer(*transport, limit);
  if (!answered) co_return fail(std::move(answered).error().context("{}", host));
  co_return transport;
}

Result<std::shared_ptr<TunnelEntry>> TunnelEntry::listen(IoContext& context, std::uint16_t port,
                                                         Open open) {
  BERTH_TRY(auto acceptors, open_listeners({"127.0.0.1", port}, {&context}));
  auto entry = std::make_shared<TunnelEntry>(std::move(acceptors.front()), std::move(open));
  boost::asio::co_spawn(context, accept_all(entry), boost::asio::detached);
  return entry;
}

TunnelEntry::TunnelEntry(Acceptor acceptor, Open open)
    : acceptor_(std::move(acceptor)),
      open_(std::move(open)),
      port_(acceptor_.local_endpoint().port()) {}

void TunnelEntry::stop() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
  for (const auto& weak : open_ones_) {
    if (const auto transport = weak.lock()) transport->close();
  }
}

Task<> TunnelEntry::accept_all(std::shared_ptr<TunnelEntry> self) {
  while (self->acceptor_.is_open()) {
    auto [error, socket] = co_await self->acceptor_.async_accept(use_task);
    if (!self->acceptor_.is_open()) co_return;
    if (error) {
      spdlog::error("accepting a connection at port {} failed: {}", self->port_, error.message());
      co_await sleep_for(kAcceptBackoff);
      continue;
    }
    std::erase_if(self->open_ones_, [](const auto& one) { return one.expired(); });
    if (self->open_ones_.size() >= 2 * kMostConnections) continue;  // closes it
    auto transport = std::make_shared<Transport>(std::move(socket));
    self->open_ones_.push_back(transport);
    boost::asio::co_spawn(self->acceptor_.get_executor(), serve(self, std::move(transport)),
                          boost::asio::detached);
  }
}

Task<> TunnelEntry::serve(std::shared_ptr<TunnelEntry> self, std::shared_ptr<Transport> transport) {
  auto opened = co_await self->open_();
  if (!opened) {
    spdlog::warn("port {}: {}", self->port_, opened.error().to_string());
    transport->close();
    co_return;
  }
  self->open_ones_.push_back(*opened);
  co_await splice(std::move(transport), *std::move(opened));
}

}  // namespace berth::net
