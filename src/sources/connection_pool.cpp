#include "sources/connection_pool.h"

#include <algorithm>

namespace berth::sources {
namespace {

std::string origin_of(const Address& address) {
  return fmt::format("{}://{}:{}", address.scheme, address.host, address.port);
}

}  // namespace

std::optional<CurlHandle> ConnectionPool::take(const Address& address) {
  const std::lock_guard lock(mutex_);
  const std::string origin = origin_of(address);
  const auto found = std::find_if(idle_.rbegin(), idle_.rend(),
                                  [&](const Idle& idle) { return idle.origin == origin; });
  if (found == idle_.rend()) return std::nullopt;
  CurlHandle handle = std::move(found->handle);
  idle_.erase(std::next(found).base());
  return handle;
}

void ConnectionPool::give(const Address& address, CurlHandle handle) {
  handle.count_anew();
  std::optional<Idle> oldest;  // closed after the lock is gone: that may take a while
  const std::lock_guard lock(mutex_);
  if (idle_.size() == kMost) {
    oldest = std::move(idle_.front());
    idle_.erase(idle_.begin());
  }
  idle_.push_back({.origin = origin_of(address), .handle = std::move(handle)});
}

}  // namespace berth::sources
