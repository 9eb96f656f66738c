// bench_fleet: many simulated workers in one process, on one thread, for run.py.
//
//   bench_fleet FOLDER SERVER COUNT
//
// The first line of the input is a join token. Every worker has a folder of its own in FOLDER,
// joins with a certificate of its own, and then follows the server. Afterwards each line is an
// order:
//
//   count              answered by "count ENLISTED REPORTS FAILURES"
//   move WORKER HOST   the worker reports another address; "told WORKER ADDRESS TIME" as it sends
//   it
//
// "joined SECONDS" tells that all have joined, "seen WORKER PACK TIME" that a worker's watch showed
// a request for a pack. Times are nanoseconds of the monotonic clock. The end of the input ends it.
#include "base/data_folder.h"
#include "simulated_worker.h"
#include "worker/packs.h"
#include "worker/system_facts.h"

#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <mutex>
#include <sstream>
#include <thread>

#include <boost/asio/basic_socket_acceptor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <spdlog/spdlog.h>

namespace berth::bench {
namespace {

constexpr int kJoiners = 8;
constexpr std::size_t kQueue = 16'384;

template <class... Parts>
void say(fmt::format_string<Parts...> text, Parts&&... parts) {
  std::puts(fmt::format(text, std::forward<Parts>(parts)...).c_str());
  std::fflush(stdout);
}

long long now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

std::string name_of(std::size_t number) { return fmt::format("sim-{:05}", number); }

using Acceptor = boost::asio::basic_socket_acceptor<boost::asio::ip::tcp, net::Executor>;

// The server tries now and then whether it can connect to a worker; it says nothing then.
net::Task<> accept_and_close(Acceptor& acceptor) {
  for (;;) co_await acceptor.async_accept(net::use_task);
}

struct Order {
  DataFolder folder;
  std::string server;
  std::size_t count = 0;
  std::string token;
};

Result<std::vector<std::unique_ptr<worker::Membership>>> join_all(const Order& order) {
  std::vector<std::unique_ptr<worker::Membership>> members(order.count);
  std::atomic<std::size_t> next = 0;
  std::mutex mutex;
  Result<void> outcome;
  {
    std::vector<std::jthread> threads;
    threads.reserve(kJoiners);
    for (int i = 0; i < kJoiners; ++i) {
      threads.emplace_back([&] {
        for (std::size_t number = next++; number < order.count; number = next++) {
          auto joined = worker::Membership::open({.data = {order.folder.root / name_of(number)},
                                                  .local = false,
                                                  .server = order.server,
                                                  .token = order.token,
                                                  .name = name_of(number),
                                                  .version = BERTH_VERSION});
          const std::scoped_lock lock(mutex);
          if (joined) {
            members[number] = std::move(*joined);
          } else {
            outcome = fail(std::move(joined).error().context("{}", name_of(number)));
          }
        }
      });
    }
  }
  BERTH_CHECK(outcome);
  return members;
}

class Fleet {
 public:
  Fleet(net::IoContext& context, net::ThreadPool& pool, const FleetModel& model,
        std::vector<std::unique_ptr<worker::Membership>> members) {
    workers_.reserve(members.size());
    for (auto& member : members) {
      workers_.push_back(std::make_unique<SimulatedWorker>(
          context, pool, model, name_of(workers_.size()), std::move(member)));
    }
  }

  // Spread over the time between two reports.
  void start() {
    for (std::size_t i = 0; i < workers_.size(); ++i) {
      workers_[i]->start(Duration(kReportEvery) * i / workers_.size());
    }
  }

  void obey(const std::string& line) {
    std::istringstream words(line);
    std::string verb;
    std::string worker;
    std::string host;
    words >> verb >> worker >> host;
    if (verb == "count") return count();
    for (std::size_t i = 0; verb == "move" && i < workers_.size(); ++i) {
      if (name_of(i) == worker) workers_[i]->move(host);
    }
  }

 private:
  void count() const {
    std::size_t enlisted = 0;
    std::size_t reports = 0;
    std::size_t failures = 0;
    for (const auto& worker : workers_) {
      enlisted += worker->enlisted() ? 1 : 0;
      reports += worker->reports();
      failures += worker->failures();
    }
    say("count {} {} {}", enlisted, reports, failures);
  }

  std::vector<std::unique_ptr<SimulatedWorker>> workers_;
};

Result<void> run(const Order& order) {
  BERTH_CHECK(create_data_folder(order.folder));
  const long long began = now();
  BERTH_TRY(auto members, join_all(order));
  say("joined {:.1f}", static_cast<double>(now() - began) * 1e-9);
  net::IoContext context(1);
  Acceptor acceptor(context, {boost::asio::ip::address_v4::any(), 0});
  boost::asio::co_spawn(context, accept_and_close(acceptor), boost::asio::detached);
  BERTH_TRY(const auto packs, worker::Packs::open(order.folder, [] {}));
  const FleetModel model{
      .packs = packs->list(),
      .system = worker::read_system_facts(),
      .version = BERTH_VERSION,
      .on_pack_request =
          [](const std::string& worker, const model::PackRequest& request) {
            say("seen {} {} {}", worker, request.pack, now());
          },
      .on_tell = [](const std::string& worker,
                    const std::string& address) { say("told {} {} {}", worker, address, now()); },
      .port = acceptor.local_endpoint().port()};
  net::ThreadPool pool(2, kQueue);
  Fleet fleet(context, pool, model, std::move(members));
  fleet.start();
  const std::jthread reader([&] {
    for (std::string line; std::getline(std::cin, line);) {
      boost::asio::post(context, [&fleet, line] { fleet.obey(line); });
    }
    std::_Exit(0);  // thousands of connections need not end in order
  });
  const auto work = boost::asio::make_work_guard(context);
  context.run();
  return {};
}

}  // namespace
}  // namespace berth::bench

int main(int argc, char** argv) {
  using namespace berth;
  bench::Order order;
  if (argc != 4 || !std::getline(std::cin, order.token)) {
    std::fprintf(stderr, "bench_fleet FOLDER SERVER COUNT, and a join token on the input\n");
    return 2;
  }
  order.folder.root = argv[1];
  order.server = argv[2];
  order.count = std::strtoul(argv[3], nullptr, 10);
  spdlog::set_level(spdlog::level::err);
  const auto result = bench::run(order);
  if (result) return 0;
  std::fprintf(stderr, "bench_fleet: %s\n", result.error().to_string().c_str());
  return 1;
}
