// ConnectionPool: connections that stay open between clients, so that the many small files of a
// repository need one connection each way and not one each.
#pragma once

#include "sources/curl.h"

#include <cstddef>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace berth::sources {

// Keeps curl's handles, each with the connections that it has, to the server that was asked and to
// where that redirected; a handle is of one client at a time, since connections shared between
// handles are not safe across threads. curl closes what is idle for two minutes when it is used
// next, the pool all when it ends. Thread-safe.
class ConnectionPool {
 public:
  // The handle that was used last for the address's server; nothing where all are in use.
  std::optional<CurlHandle> take(const Address& address);
  // Above a number that nobody needs, the oldest is closed.
  void give(const Address& address, CurlHandle handle);

 private:
  static constexpr std::size_t kMost = 32;
  struct Idle {
    std::string origin;
    CurlHandle handle;
  };

  std::mutex mutex_;
  std::vector<Idle> idle_;  // the one used last at the end
};

}  // namespace berth::sources
