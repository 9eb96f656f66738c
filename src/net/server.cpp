#include "net/server.h"

#include "net/listener.h"
#include "net/server_connection.h"

#include <condition_variable>
#include <mutex>
#include <thread>
#include <unordered_map>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/post.hpp>
#include <spdlog/spdlog.h>

namespace berth::net {
namespace {

// How long cancelled handlers may take to end; only a blocking `offload` can need it.
constexpr Duration kCancelled = std::chrono::seconds(30);
constexpr Duration kAcceptBackoff = std::chrono::milliseconds(100);
// Connections above the limit that are being told so; more are closed without a word.
constexpr std::size_t kRefused = 64;

// What runs on one io_context; touched by its thread only.
struct Shard {
  struct Served {
    std::shared_ptr<ServerConnection> connection;
    boost::asio::cancellation_signal cancel;
  };
  std::unordered_map<ServerConnection*, std::unique_ptr<Served>> served;
  boost::asio::cancellation_signal stop_accepting;
};

}  // namespace

// Outlives the server where a handler does.
struct Core {
  std::shared_ptr<ServerShared> shared = std::make_shared<ServerShared>();

  std::mutex mutex;
  std::condition_variable changed;
  std::size_t connections = 0;
  std::size_t refused = 0;
  std::size_t accepting = 0;  // accept loops that run

  bool add(std::size_t& count, std::size_t limit) {
    const std::lock_guard lock(mutex);
    if (count >= limit) return false;
    ++count;
    return true;
  }
  void remove(std::size_t& count) {
    const std::lock_guard lock(mutex);
    --count;
    changed.notify_all();
  }
  bool wait_for_end(Duration limit) {
    std::unique_lock lock(mutex);
    return changed.wait_for(lock, limit, [this] { return connections + refused + accepting == 0; });
  }
};

namespace {

void serve_connection(std::shared_ptr<Core> core, std::shared_ptr<Shard> shard, Socket socket) {
  const Executor executor = socket.get_executor();
  const bool accepted = core->add(core->connections, core->shared->options.max_connections);
  if (!accepted && !core->add(core->refused, kRefused)) return;
  auto connection = std::make_shared<ServerConnection>(std::move(socket), core->shared);
  ServerConnection* key = connection.get();
  auto& served = shard->served[key];
  served = std::make_unique<Shard::Served>();
  served->connection = connection;
  auto task = accepted ? connection->run() : connection->refuse();
  auto on_end = [core, shard, connection, accepted](const std::exception_ptr&) {
    connection->close();
    // The signal may be what runs this: it goes after.
    boost::asio::post(connection->executor(), [node = shard->served.extract(connection.get())] {});
    core->remove(accepted ? core->connections : core->refused);
  };
  boost::asio::co_spawn(executor, std::move(task),
                        boost::asio::bind_cancellation_slot(served->cancel.slot(), on_end));
}

// Accepts until nobody waits, then sleeps: not one connection for each turn of the loop.
Task<> accept_loop(std::shared_ptr<Core> core, std::shared_ptr<Shard> shard, Acceptor acceptor) {
  const Executor executor = acceptor.get_executor();
  for (;;) {
    const auto [waited] = co_await acceptor.async_wait(Acceptor::wait_read, use_task);
    if (waited) co_return;
    boost::system::error_code error;
    while (!error) {
      Socket socket(executor);
      acceptor.accept(socket, error);
      if (!error) serve_connection(core, shard, std::move(socket));
    }
    if (error == boost::asio::error::no_descriptors ||
        error == boost::asio::error::no_buffer_space || error == boost::asio::error::no_memory) {
      spdlog::error("accepting a connection failed: {}", error.message());
      co_await sleep_for(kAcceptBackoff);
    }
  }
}

}  // namespace

struct Server::State {
  std::vector<std::unique_ptr<IoContext>> own_contexts;
  std::vector<IoContext*> contexts;
  std::vector<Acceptor> acceptors;  // until `start`
  std::vector<std::shared_ptr<Shard>> shards;
  std::shared_ptr<Core> core = std::make_shared<Core>();
  std::vector<std::thread> threads;
  Endpoint address;
  bool stopped = false;

  // Calls `function(shard)` on the thread of each shard.
  template <class Function>
  void on_each_shard(Function function) {
    for (std::size_t i = 0; i < shards.size(); ++i) {
      boost::asio::post(*contexts[i], [shard = shards[i], function] { function(*shard); });
    }
  }
};

Server::Server(std::unique_ptr<State> state) : state_(std::move(state)) {}

Server::~Server() { stop(Duration::zero()); }

Result<std::unique_ptr<Server>> Server::listen(ServerOptions options, Handler handler) {
  auto state = std::make_unique<State>();
  state->contexts = options.contexts;
  if (state->contexts.empty()) {
    for (std::size_t i = 0; i < std::max<std::size_t>(options.threads, 1); ++i) {
      // Each has a thread of its own, on which everything of it happens: its reactor needs no
      // locks.
      state->own_contexts.push_back(
          std::make_unique<IoContext>(BOOST_ASIO_CONCURRENCY_HINT_UNSAFE_IO));
      state->contexts.push_back(state->own_contexts.back().get());
    }
  }
  BERTH_TRY(state->acceptors, open_listeners(options.address, state->contexts));
  state->address = options.address;
  state->address.port = state->acceptors.front().local_endpoint().port();
  state->core->shared->options = std::move(options);
  state->core->shared->handler = std::move(handler);
  return std::unique_ptr<Server>(new Server(std::move(state)));
}

Result<std::unique_ptr<Server>> Server::listen(ServerOptions options, Router router) {
  auto shared = std::make_shared<const Router>(std::move(router));
  return listen(std::move(options),
                Handler([shared](Exchange& exchange) { return shared->handle(exchange); }));
}

std::uint16_t Server::port() const { return state_->address.port; }
Endpoint Server::address() const { return state_->address; }

std::size_t Server::connections() const {
  const std::lock_guard lock(state_->core->mutex);
  return state_->core->connections;
}

void Server::start() {
  for (std::size_t i = 0; i < state_->contexts.size(); ++i) {
    const auto& core = state_->core;
    auto shard = std::make_shared<Shard>();
    state_->shards.push_back(shard);
    core->add(core->accepting, state_->contexts.size());
    auto on_end = [core, shard](const std::exception_ptr&) { core->remove(core->accepting); };
    boost::asio::co_spawn(
        *state_->contexts[i], accept_loop(core, shard, std::move(state_->acceptors[i])),
        boost::asio::bind_cancellation_slot(shard->stop_accepting.slot(), on_end));
  }
  state_->acceptors.clear();
  for (auto& context : state_->own_contexts) {
    state_->threads.emplace_back([context = context.get()] { context->run(); });
  }
}

void Server::stop(Duration grace) {
  if (state_->stopped) return;
  state_->stopped = true;
  if (state_->shards.empty()) return;
  Core& core = *state_->core;
  core.shared->stopping = true;
  state_->on_each_shard([](Shard& shard) {
    shard.stop_accepting.emit(boost::asio::cancellation_type::terminal);
    for (auto& [key, served] : shard.served) served->connection->close_if_idle();
  });
  bool ended = core.wait_for_end(grace);
  if (!ended) {
    state_->on_each_shard([](Shard& shard) {
      for (auto& [key, served] : shard.served) served->connection->close();
      for (auto& [key, served] : shard.served) {
        served->cancel.emit(boost::asio::cancellation_type::terminal);
      }
    });
    ended = core.wait_for_end(kCancelled);
  }
  for (auto& context : state_->own_contexts) context->stop();
  for (auto& thread : state_->threads) thread.join();
  if (ended) return;
  spdlog::error("{} connections did not end when the server stopped", connections());
  // What still runs elsewhere will come back to these.
  for (auto& context : state_->own_contexts) {
    [[maybe_unused]] const auto* left = context.release();
  }
}

}  // namespace berth::net
