// Follower: keeps a worker in touch with its server: enlists, follows its duties, renews its
// certificate, and comes back whenever the server was away.
#pragma once

#include "net/thread_pool.h"
#include "net/wake_up.h"
#include "worker/membership.h"
#include "worker/server_link.h"

#include <functional>
#include <memory>
#include <random>

namespace berth::worker {

// What the agent does about it. Called on the follower's io_context.
struct FollowerEvents {
  std::function<net::Task<model::Worker>()> describe;  // as it enlists now
  std::function<void(const cluster::Registered&, const Duties&)> on_enlisted;
  std::function<void(DutyChange)> on_change;
  std::function<net::Task<>()> on_new_certificate;
};

// Lives on one io_context and is used on it alone.
class Follower {
 public:
  // `membership` and `pool` outlive it.
  Follower(net::IoContext& context, Membership& membership, net::ThreadPool& pool,
           FollowerEvents events);

  // Goes on until it is cancelled.
  net::Task<Result<void>> run();
  // The same, beside `run`.
  net::Task<Result<void>> keep_certificate();

  // Whether the server knows this worker at the moment.
  [[nodiscard]] bool enlisted() const { return enlisted_; }
  [[nodiscard]] ServerLink& link() { return link_; }

 private:
  net::Task<Result<void>> follow(Duration& pause);
  net::Task<> rejoin();
  net::Task<Result<void>> renew();

  Membership& membership_;
  net::ThreadPool& pool_;
  FollowerEvents events_;
  ServerLink link_;
  std::shared_ptr<net::WakeUp> renewal_moved_;
  SteadyTime renew_at_ = SteadyTime::max();
  SteadyTime may_rejoin_;
  bool enlisted_ = false;
  std::mt19937 random_{std::random_device{}()};
};

}  // namespace berth::worker
