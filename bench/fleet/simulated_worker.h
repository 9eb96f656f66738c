// A worker of the fleet's benchmark: it speaks to the server as an agent does, with the agent's own
// code (worker::Follower), but has no proxy, no engines, and devices that it makes up.
#pragma once

#include "base/clock.h"
#include "net/thread_pool.h"
#include "net/wake_up.h"
#include "worker/follower.h"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace berth::bench {

inline constexpr std::chrono::seconds kReportEvery{5};  // as the agent

// What all simulated workers have alike.
struct FleetModel {
  std::vector<model::PackStatus> packs;
  model::SystemFacts system;
  std::string version;
  // Called on the workers' io_context.
  std::function<void(const std::string& worker, const model::PackRequest&)> on_pack_request;
  std::function<void(const std::string& worker, const std::string& address)> on_tell;
  std::uint16_t port = 0;  // where something listens for the server, which tries to connect
};

// Lives on one io_context and is used on it alone; `start` once.
class SimulatedWorker {
 public:
  // `model` and `pool` outlive it.
  SimulatedWorker(net::IoContext& context, net::ThreadPool& pool, const FleetModel& model,
                  std::string name, std::unique_ptr<worker::Membership> membership);

  // Follows the server from `delay` on, for as long as the io_context runs.
  void start(Duration delay);
  // Is at another address of this machine from now on, and reports it at once.
  void move(std::string host);

  [[nodiscard]] bool enlisted() const { return follower_.enlisted(); }
  [[nodiscard]] std::size_t reports() const { return reports_; }
  [[nodiscard]] std::size_t failures() const { return failures_; }

 private:
  [[nodiscard]] std::string address() const;
  [[nodiscard]] model::Worker describe() const;
  static net::Task<model::Worker> described(model::Worker worker);
  static net::Task<> nothing();
  net::Task<> follow(Duration delay);
  net::Task<> send_reports();
  void measure();

  net::IoContext& context_;
  const FleetModel& model_;
  std::string name_;
  std::unique_ptr<worker::Membership> membership_;
  std::shared_ptr<net::WakeUp> changed_;
  worker::Follower follower_;
  std::vector<model::Device> devices_;
  std::mt19937 random_;
  std::string host_ = "127.0.0.1";
  bool moved_ = false;
  std::uint64_t revision_ = 0;
  std::uint64_t sequence_ = 0;
  std::size_t reports_ = 0;
  std::size_t failures_ = 0;
};

}  // namespace berth::bench
