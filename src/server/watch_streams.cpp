#include "server/watch_streams.h"

namespace berth::server {

void WatchStreams::end_all() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  for (const auto& stream : streams_) stream->wake_from_anywhere();
}

void WatchStreams::add(const std::shared_ptr<net::WakeUp>& wake_up) {
  const std::lock_guard lock(mutex_);
  streams_.insert(wake_up);
}

void WatchStreams::take_out(const std::shared_ptr<net::WakeUp>& wake_up) {
  const std::lock_guard lock(mutex_);
  streams_.erase(wake_up);
}

}  // namespace berth::server
