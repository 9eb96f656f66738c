// ShimWatch: the end of a shim as an event on the agent's loop.
#pragma once

#include "net/wake_up.h"
#include "process/shim.h"

#include <memory>

#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <unistd.h>

namespace berth::worker {

// Wakes `wake_up` once when the shim has ended. Used on the executor of `wake_up`.
class ShimWatch {
 public:
  ShimWatch(const process::ShimHandle& shim, std::shared_ptr<net::WakeUp> wake_up)
      : descriptor_(wake_up->executor(), ::dup(shim.pidfd.fd())) {
    // A pidfd becomes readable when its process has ended.
    descriptor_.async_wait(Descriptor::wait_read,
                           [ended = ended_, wake_up](boost::system::error_code error) {
                             if (error) return;  // no longer watched
                             *ended = true;
                             wake_up->wake();
                           });
  }

  [[nodiscard]] bool ended() const { return *ended_; }

 private:
  using Descriptor = boost::asio::posix::basic_stream_descriptor<net::Executor>;
  Descriptor descriptor_;
  std::shared_ptr<bool> ended_ = std::make_shared<bool>(false);
};

}  // namespace berth::worker
