#include "server/worker_reach.h"

#include "net/client.h"

#include <utility>

#include <boost/asio/detached.hpp>
#include <spdlog/spdlog.h>

namespace berth::server {
namespace {

constexpr std::chrono::seconds kLook{1};
constexpr std::chrono::seconds kEvery{10};  // while all is well
constexpr std::chrono::seconds kAgain{3};   // while it is not
constexpr std::chrono::seconds kPatience{3};
constexpr std::size_t kAtOnce = 256;

SteadyTime now() { return std::chrono::steady_clock::now(); }

}  // namespace

WorkerReach::WorkerReach(WorkerRegistry& workers, std::function<void()> on_change)
    : workers_(workers), on_change_(std::move(on_change)) {
  boost::asio::co_spawn(context_, run(), boost::asio::detached);
  thread_ = std::jthread([this] { context_.run(); });
}

WorkerReach::~WorkerReach() { context_.stop(); }

net::Task<> WorkerReach::run() {
  for (;;) {
    const auto addresses = workers_.addresses();
    std::erase_if(due_, [&](const auto& one) {
      return one.second != SteadyTime::max() && !addresses.contains(one.first);
    });
    for (const auto& [worker, address] : addresses) {
      if (under_way_ >= kAtOnce) break;
      auto& due = due_[worker];
      if (due > now()) continue;
      due = SteadyTime::max();
      ++under_way_;
      boost::asio::co_spawn(context_, look(worker, address), boost::asio::detached);
    }
    co_await net::sleep_for(kLook);
  }
}

net::Task<> WorkerReach::look(std::string worker, std::string address) {
  Result<void> reached;
  if (auto endpoint = net::parse_endpoint(address)) {
    reached = co_await net::try_connect(*std::move(endpoint), kPatience);
  } else {
    reached = fail(std::move(endpoint).error());
  }
  --under_way_;
  due_[worker] = now() + (reached ? Duration(kEvery) : Duration(kAgain));
  const std::string trouble = reached ? "" : reached.error().to_string();
  if (!workers_.note_reach(worker, address, trouble)) co_return;
  if (!reached) spdlog::warn("the worker {} can not be reached: {}", worker, trouble);
  on_change_();
}

}  // namespace berth::server
