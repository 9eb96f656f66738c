#include "process/ports.h"

#include "process/platform/process_info.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cerrno>
#include <charconv>
#include <cstdio>
#include <netinet/in.h>
#include <random>
#include <sys/socket.h>
#include <utility>

#include <unistd.h>

namespace berth::process {
namespace {

// The part of [first, last] that is a valid range, else nothing of it.
int size_of(int first, int last) { return std::max(0, last - first + 1); }

PortRange to_range(int first, int last) {
  return {static_cast<std::uint16_t>(first), static_cast<std::uint16_t>(last)};
}

// Binding without SO_REUSEADDR: refuses listeners, and ports with connections in TIME_WAIT too.
bool can_bind(const std::string& address, std::uint16_t port) {
  sockaddr_in where{};
  where.sin_family = AF_INET;
  where.sin_port = htons(port);
  if (::inet_pton(AF_INET, address.c_str(), &where.sin_addr) != 1) return false;
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (fd < 0) return false;
  const bool free = ::bind(fd, reinterpret_cast<const sockaddr*>(&where), sizeof where) == 0;
  ::close(fd);
  return free;
}

}  // namespace

PortRange outside_of(PortRange wanted, PortRange ephemeral) {
  const auto larger = [](std::pair<int, int> a, std::pair<int, int> b) {
    return size_of(a.first, a.second) >= size_of(b.first, b.second) ? a : b;
  };
  const auto [first, last] = larger({wanted.first, std::min<int>(wanted.last, ephemeral.first - 1)},
                                    {std::max<int>(wanted.first, ephemeral.last + 1), wanted.last});
  if (size_of(first, last) > 0) return to_range(first, last);
  const auto [low, high] = larger({1024, ephemeral.first - 1}, {ephemeral.last + 1, 65535});
  return size_of(low, high) > 0 ? to_range(low, high) : wanted;
}

PortRange ephemeral_range() {
  const auto text = platform::read_small_file("/proc/sys/net/ipv4/ip_local_port_range");
  unsigned first = 0;
  unsigned last = 0;
  // NOLINTNEXTLINE(cert-err34-c): written by the kernel
  if (text && std::sscanf(text->c_str(), "%u %u", &first, &last) == 2 && first <= last &&
      last <= 65535) {
    return to_range(static_cast<int>(first), static_cast<int>(last));
  }
  return {32768, 60999};  // Linux's default
}

PortLeases::PortLeases(PortRange range, std::string address)
    : range_(range), address_(std::move(address)), next_(range.first) {
  // Somewhere: two agents on one machine then rarely look at the same port at the same time.
  std::random_device random;
  next_ = std::uniform_int_distribution<std::uint16_t>(range_.first, range_.last)(random);
}

Result<std::uint16_t> PortLeases::lease() {
  const std::lock_guard lock(mutex_);
  return lease_locked();
}

Result<std::vector<std::uint16_t>> PortLeases::lease(std::size_t count) {
  const std::lock_guard lock(mutex_);
  std::vector<std::uint16_t> ports;
  while (ports.size() < count) {
    auto port = lease_locked();
    if (!port) {
      for (const std::uint16_t taken : ports) leased_.erase(taken);
      return fail(std::move(port).error());
    }
    ports.push_back(*port);
  }
  return ports;
}

Result<std::uint16_t> PortLeases::lease_locked() {
  const int size = size_of(range_.first, range_.last);
  for (int tried = 0; tried < size; ++tried) {
    const std::uint16_t port = next_;
    next_ = port == range_.last ? range_.first : static_cast<std::uint16_t>(port + 1);
    if (leased_.contains(port) || !can_bind(address_, port)) continue;
    leased_.insert(port);
    return port;
  }
  return fail(
      ErrorCode::resource_exhausted,
      "no free port for an engine on {} from {} to {}: {} are leased to engines, the others "
      "are taken by other programs",
      address_, range_.first, range_.last, leased_.size());
}

Result<void> PortLeases::hold(std::uint16_t port) {
  const std::lock_guard lock(mutex_);
  if (leased_.insert(port).second) return {};
  return fail(ErrorCode::conflict, "port {} is leased to another engine", port);
}

void PortLeases::release(std::uint16_t port) {
  const std::lock_guard lock(mutex_);
  leased_.erase(port);
}

std::size_t PortLeases::leased() const {
  const std::lock_guard lock(mutex_);
  return leased_.size();
}

}  // namespace berth::process
