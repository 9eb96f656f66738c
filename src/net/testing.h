// For tests of net and of what serves HTTP: a server that runs while it lives, and a client that
// sends raw bytes. Included by *_test.cpp only.
#pragma once

#include "net/client.h"
#include "net/server.h"

#include <chrono>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <sys/time.h>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <gtest/gtest.h>

namespace berth::net::testing {

// Serves on 127.0.0.1 and a free port until it is destroyed.
class RunningServer {
 public:
  explicit RunningServer(Router router, ServerOptions options = {}) {
    options.address = {"127.0.0.1", 0};
    auto listening = Server::listen(std::move(options), std::move(router));
    if (!listening) throw std::runtime_error(listening.error().to_string());
    server_ = std::move(*listening);
    server_->start();
  }

  Server& operator*() { return *server_; }
  Server* operator->() { return server_.get(); }
  [[nodiscard]] Endpoint endpoint() const { return {"127.0.0.1", server_->port()}; }

 private:
  std::unique_ptr<Server> server_;
};

// A blocking connection; every wait ends after 10 s.
class RawConnection {
 public:
  explicit RawConnection(const Endpoint& endpoint, int receive_buffer = 0) : socket_(context_) {
    socket_.open(boost::asio::ip::tcp::v4());
    if (receive_buffer > 0) {
      socket_.set_option(boost::asio::socket_base::receive_buffer_size(receive_buffer));
    }
    const timeval limit{.tv_sec = 10, .tv_usec = 0};
    setsockopt(socket_.native_handle(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
    socket_.connect({boost::asio::ip::make_address(endpoint.host), endpoint.port});
  }

  void send(std::string_view bytes) {
    boost::system::error_code ignored;
    boost::asio::write(socket_, boost::asio::buffer(bytes.data(), bytes.size()), ignored);
  }

  // All until the peer closes, or nothing comes for 10 s.
  std::string receive_all() {
    while (receive_more()) {
    }
    return std::exchange(received_, {});
  }

  // All up to and including `end`; what the peer sent before it closed, where that never comes.
  std::string receive_until(std::string_view end) {
    for (;;) {
      const std::size_t at = received_.find(end);
      if (at != std::string::npos) {
        std::string text = received_.substr(0, at + end.size());
        received_.erase(0, at + end.size());
        return text;
      }
      if (!receive_more()) return std::exchange(received_, {});
    }
  }

  void close() { socket_.close(); }

 private:
  bool receive_more() {
    char buffer[4096];
    // Not Asio's receive: it would wait beyond the socket's own limit.
    const auto count = ::recv(socket_.native_handle(), buffer, sizeof(buffer), 0);
    if (count <= 0) return false;
    received_.append(buffer, static_cast<std::size_t>(count));
    return true;
  }

  boost::asio::io_context context_;
  boost::asio::ip::tcp::socket socket_;
  std::string received_;
};

}  // namespace berth::net::testing
