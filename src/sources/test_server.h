// A web server for tests whose every answer is scripted, right or wrong. Included by *_test.cpp
// only.
#pragma once

#include <algorithm>
#include <arpa/inet.h>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <functional>
#include <list>
#include <map>
#include <mutex>
#include <netinet/in.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <poll.h>
#include <unistd.h>

namespace berth::sources::testing {

struct Seen {
  std::string target;
  std::map<std::string, std::string> fields;  // by name in lower case

  [[nodiscard]] std::string field(const std::string& name) const {
    const auto found = fields.find(name);
    return found == fields.end() ? "" : found->second;
  }
};

// One connection, as a script has it.
class Peer {
 public:
  Peer(int socket, std::stop_token stop) : socket_(socket), stop_(std::move(stop)) {}

  // False where the client has gone.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const auto sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (sent <= 0) return false;
      bytes.remove_prefix(static_cast<std::size_t>(sent));
      sent_ += static_cast<std::size_t>(sent);
    }
    return true;
  }
  // False where the server ends, or the client has gone.
  bool pause(std::chrono::milliseconds time) {
    std::mutex mutex;
    std::condition_variable_any nobody;
    std::unique_lock lock(mutex);
    nobody.wait_for(lock, stop_, time, [] { return false; });
    char byte = 0;
    const auto peeked = ::recv(socket_, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return !stop_.stop_requested() && peeked != 0;
  }
  // The connection ends after this answer.
  void close() { open_ = false; }

  [[nodiscard]] bool is_open() const { return open_; }
  [[nodiscard]] std::size_t sent() const { return sent_; }

 private:
  int socket_;
  std::stop_token stop_;
  bool open_ = true;
  std::size_t sent_ = 0;
};

using Script = std::function<void(Peer&, const Seen&)>;

// Serves on 127.0.0.1 and a free port until it is destroyed, with a thread for each connection.
class TestServer {
 public:
  explicit TestServer(Script script) : script_(std::move(script)) {
    ::setenv("no_proxy", "127.0.0.1", 1);  // whatever the machine's user has set
    listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t length = sizeof(address);
    // NOLINTBEGIN(cppcoreguidelines-pro-type-reinterpret-cast): the interface of sockets
    auto* any = reinterpret_cast<sockaddr*>(&address);
    // NOLINTEND(cppcoreguidelines-pro-type-reinterpret-cast)
    if (::bind(listener_, any, length) != 0 || ::listen(listener_, 64) != 0 ||
        ::getsockname(listener_, any, &length) != 0) {
      throw std::runtime_error("no port for the test's server");
    }
    port_ = ntohs(address.sin_port);
    acceptor_ = std::jthread([this](const std::stop_token& stop) { accept_all(stop); });
  }
  TestServer(const TestServer&) = delete;
  TestServer& operator=(const TestServer&) = delete;
  ~TestServer() {
    acceptor_.request_stop();
    acceptor_.join();
    {
      const std::lock_guard lock(mutex_);
      for (auto& thread : threads_) thread.request_stop();
      for (const int socket : sockets_) ::shutdown(socket, SHUT_RDWR);
    }
    threads_.clear();
    for (const int socket : sockets_) ::close(socket);
    ::close(listener_);
  }

  [[nodiscard]] std::string url(std::string_view target) const {
    return fmt::format("http://127.0.0.1:{}{}", port_, target);
  }
  [[nodiscard]] int port() const { return port_; }
  // All requests so far.
  [[nodiscard]] std::vector<Seen> seen() const {
    const std::lock_guard lock(mutex_);
    return seen_;
  }
  // Accepted so far.
  [[nodiscard]] std::size_t connections() const {
    const std::lock_guard lock(mutex_);
    return sockets_.size();
  }
  // What was sent by scripts that have ended.
  [[nodiscard]] std::size_t sent() const {
    const std::lock_guard lock(mutex_);
    return sent_;
  }

 private:
  void accept_all(const std::stop_token& stop) {
    while (!stop.stop_requested()) {
      pollfd ready{.fd = listener_, .events = POLLIN, .revents = 0};
      if (::poll(&ready, 1, 20) != 1) continue;
      const int socket = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (socket < 0) continue;
      const std::lock_guard lock(mutex_);
      sockets_.push_back(socket);
      threads_.emplace_back([this, socket](const std::stop_token& token) { serve(socket, token); });
    }
  }

  void serve(int socket, const std::stop_token& stop) {
    std::string received;
    for (bool open = true; open;) {
      std::size_t end = 0;
      while ((end = received.find("\r\n\r\n")) == std::string::npos) {
        char buffer[4096];
        const auto count = ::recv(socket, buffer, sizeof(buffer), 0);
        if (count <= 0) return;
        received.append(buffer, static_cast<std::size_t>(count));
      }
      const Seen request = parse(received.substr(0, end + 2));
      received.erase(0, end + 4);
      {
        const std::lock_guard lock(mutex_);
        seen_.push_back(request);
      }
      Peer peer(socket, stop);
      script_(peer, request);
      open = peer.is_open();
      const std::lock_guard lock(mutex_);
      sent_ += peer.sent();
    }
    ::shutdown(socket, SHUT_RDWR);
  }

  static Seen parse(std::string_view head) {
    Seen request;
    const auto space = head.find(' ');
    request.target = head.substr(space + 1, head.find(' ', space + 1) - space - 1);
    while (!head.empty()) {
      const std::string_view line = head.substr(0, head.find("\r\n"));
      head.remove_prefix(line.size() + 2);
      const auto colon = line.find(": ");
      if (colon == std::string_view::npos) continue;
      std::string name(line.substr(0, colon));
      std::ranges::transform(name, name.begin(), [](unsigned char c) { return std::tolower(c); });
      request.fields[name] = line.substr(colon + 2);
    }
    return request;
  }

  Script script_;
  int listener_ = -1;
  int port_ = 0;
  mutable std::mutex mutex_;
  std::vector<Seen> seen_;
  std::size_t sent_ = 0;
  std::vector<int> sockets_;
  std::list<std::jthread> threads_;
  std::jthread acceptor_;
};

// The range that was asked for, cut to a file of `size` bytes; first > last: there is none of it.
struct AskedRange {
  std::size_t first = 0;
  std::size_t last = 0;
};
inline AskedRange asked_range(const Seen& request, std::size_t size) {
  AskedRange range;
  const std::string text = request.field("range");
  const auto dash = text.find('-');
  range.first = std::stoull(text.substr(6, dash - 6));
  range.last = std::min<std::size_t>(std::stoull(text.substr(dash + 1)), size - 1);
  return range;
}

// What a good server answers, with more fields ("ETag: \"1\"\r\n").
inline std::string part_answer(const Seen& request, std::string_view file,
                               std::string_view fields = "") {
  const auto [first, last] = asked_range(request, file.size());
  return fmt::format(
      "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {}-{}/{}\r\nContent-Length: {}\r\n"
      "{}\r\n{}",
      first, last, file.size(), last - first + 1, fields, file.substr(first, last - first + 1));
}

inline std::string status_answer(std::string_view status, std::string_view fields = "",
                                 std::string_view body = "") {
  return fmt::format("HTTP/1.1 {}\r\nContent-Length: {}\r\n{}\r\n{}", status, body.size(), fields,
                     body);
}

}  // namespace berth::sources::testing
