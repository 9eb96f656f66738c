#include "worker/follower.h"

#include "net/task.h"

#include <algorithm>
#include <string>

#include <spdlog/spdlog.h>

namespace berth::worker {
namespace {

constexpr std::chrono::milliseconds kFirstRetry{100};
constexpr std::chrono::seconds kLongestRetry{5};
constexpr std::chrono::seconds kRejoinPause{30};
constexpr std::chrono::minutes kRenewalRetry{10};
constexpr std::chrono::hours kLook{1};

SteadyTime now() { return std::chrono::steady_clock::now(); }

}  // namespace

Follower::Follower(net::IoContext& context, Membership& membership, net::ThreadPool& pool,
                   FollowerEvents events)
    : membership_(membership),
      pool_(pool),
      events_(std::move(events)),
      link_(context, membership),
      renewal_moved_(std::make_shared<net::WakeUp>(context.get_executor())) {}

net::Task<Result<void>> Follower::run() {
  Duration pause = kFirstRetry;
  std::string told;
  for (;;) {
    const auto ended = co_await follow(pause);
    enlisted_ = false;
    if (ended.error().code == ErrorCode::cancelled) co_return fail(ended.error());
    const std::string reason = ended.error().to_string();
    if (reason != told) spdlog::warn("the server is away: {}", reason);
    told = reason;
    if (ended.error().code == ErrorCode::unauthenticated) co_await rejoin();
    std::uniform_int_distribution<Duration::rep> jitter(0, pause.count());
    co_await net::sleep_for(pause + Duration(jitter(random_)));
    pause = std::min<Duration>(pause * 2, kLongestRetry);
  }
}

// Until the server is lost. `pause` starts anew once it was reached.
net::Task<Result<void>> Follower::follow(Duration& pause) {
  auto worker = co_await events_.describe();
  auto enlisted = co_await link_.enlist(std::move(worker));
  if (!enlisted) co_return fail(std::move(enlisted).error());
  auto duties = co_await link_.duties();
  if (!duties) co_return fail(std::move(duties).error());
  pause = kFirstRetry;
  enlisted_ = true;
  renew_at_ = now() + std::chrono::seconds(enlisted->renew_after);
  renewal_moved_->wake();
  events_.on_enlisted(*enlisted, *duties);
  co_return co_await link_.watch(duties->revision, events_.on_change);
}

// The server does not know this worker's certificate: it was revoked, has ended, or the server's
// folder is another one.
net::Task<> Follower::rejoin() {
  if (!membership_.can_rejoin() || now() < may_rejoin_) co_return;
  may_rejoin_ = now() + kRejoinPause;
  auto joined = co_await net::offload(pool_, [this] { return membership_.rejoin(); });
  if (!joined) {
    spdlog::error("this machine may not join again: {}", joined.error().to_string());
    co_return;
  }
  co_await events_.on_new_certificate();
}

net::Task<Result<void>> Follower::keep_certificate() {
  for (;;) {
    const auto left = std::chrono::duration_cast<Duration>(renew_at_ - now());
    if (left > Duration::zero()) {
      co_await renewal_moved_->wait(std::min<Duration>(left, kLook));
      continue;
    }
    const auto renewed = co_await renew();
    if (renewed) continue;
    spdlog::warn("the worker's certificate is not renewed yet: {}", renewed.error().to_string());
    co_await net::sleep_for(kRenewalRetry);
  }
}

net::Task<Result<void>> Follower::renew() {
  BERTH_CO_TRY(auto request, membership_.request());
  auto given = co_await link_.renew({.request = std::move(request)});
  if (!given) co_return fail(std::move(given).error());
  auto kept =
      co_await net::offload(pool_, [this, given = *given] { return membership_.renew(given); });
  if (!kept) co_return fail(std::move(kept).error());
  renew_at_ = now() + std::chrono::seconds(given->renew_after);
  spdlog::info("the worker's certificate is renewed");
  co_await events_.on_new_certificate();
  co_return Result<void>{};
}

}  // namespace berth::worker
