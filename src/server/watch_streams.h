// WatchStreams: the watches that are being served, so that a server that stops need not wait for
// clients which never leave by themselves.
#pragma once

#include "net/wake_up.h"

#include <atomic>
#include <memory>
#include <mutex>
#include <set>

namespace berth::server {

// Thread-safe.
class WatchStreams {
 public:
  // Ends all, now and from now on.
  void end_all();
  [[nodiscard]] bool ended() const { return ended_; }

  // `wake_up` is woken by end_all until it is taken out.
  void add(const std::shared_ptr<net::WakeUp>& wake_up);
  void take_out(const std::shared_ptr<net::WakeUp>& wake_up);

 private:
  std::atomic<bool> ended_ = false;
  std::mutex mutex_;
  std::set<std::shared_ptr<net::WakeUp>> streams_;
};

}  // namespace berth::server
