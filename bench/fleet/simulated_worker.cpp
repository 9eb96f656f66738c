#include "simulated_worker.h"

#include <utility>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

namespace berth::bench {
namespace {

constexpr std::chrono::milliseconds kReportRetry{100};  // as the agent
constexpr int kGpus = 8;

// Eight GPUs and the CPU, as a machine with NVIDIA's tools describes them.
std::vector<model::Device> make_devices(const std::string& worker) {
  std::vector<model::Device> devices;
  devices.reserve(kGpus + 1);
  for (int i = 0; i < kGpus; ++i) {
    devices.push_back({.id = fmt::format("cuda:{}", i),
                       .kind = model::DeviceKind::cuda,
                       .name = "NVIDIA H100 80GB HBM3",
                       .index = static_cast<std::uint32_t>(i),
                       .memory = 81'559_MiB,
                       .reserved = 1_GiB,
                       .uuid = fmt::format("GPU-{}-4f1c-9f3e-{:012x}", worker, i),
                       .address = fmt::format("0000:{:02x}:00.0", 0x1b + i),
                       .driver = "550.54.15",
                       .runtime = "12.4",
                       .capability = "9.0"});
  }
  devices.push_back({.id = "cpu",
                     .name = "Intel(R) Xeon(R) Platinum 8480+",
                     .memory = 1'031'000_MiB,
                     .reserved = 8_GiB});
  return devices;
}

}  // namespace

SimulatedWorker::SimulatedWorker(net::IoContext& context, net::ThreadPool& pool,
                                 const FleetModel& model, std::string name,
                                 std::unique_ptr<worker::Membership> membership)
    : context_(context),
      model_(model),
      name_(std::move(name)),
      membership_(std::move(membership)),
      changed_(std::make_shared<net::WakeUp>(context.get_executor())),
      follower_(context, *membership_, pool,
                {.describe = [this]() -> net::Task<model::Worker> { return described(describe()); },
                 .on_enlisted =
                     [this](const cluster::Registered&, const worker::Duties& duties) {
                       sequence_ = 0;
                       revision_ = duties.revision;
                       changed_->wake();
                     },
                 .on_change =
                     [this](const worker::DutyChange& change) {
                       revision_ = change.revision;
                       if (change.pack_request) model_.on_pack_request(name_, *change.pack_request);
                     },
                 .on_new_certificate = [] { return nothing(); }}),
      devices_(make_devices(name_)),
      random_(static_cast<std::mt19937::result_type>(std::hash<std::string>{}(name_))) {}

net::Task<model::Worker> SimulatedWorker::described(model::Worker worker) {
  co_return std::move(worker);
}

net::Task<> SimulatedWorker::nothing() { co_return; }

void SimulatedWorker::start(Duration delay) {
  boost::asio::co_spawn(context_, follow(delay), boost::asio::detached);
  boost::asio::co_spawn(context_, send_reports(), boost::asio::detached);
}

void SimulatedWorker::move(std::string host) {
  host_ = std::move(host);
  moved_ = true;
  changed_->wake();
}

net::Task<> SimulatedWorker::follow(Duration delay) {
  co_await net::sleep_for(delay);
  co_await follower_.run();
}

std::string SimulatedWorker::address() const { return fmt::format("{}:{}", host_, model_.port); }

model::Worker SimulatedWorker::describe() const {
  return {.name = name_,
          .version = model_.version,
          .address = address(),
          .system = model_.system,
          .labels = {{"os", "linux"}, {"arch", "amd64"}, {"worker-name", name_}},
          .devices = devices_,
          .packs = model_.packs};
}

void SimulatedWorker::measure() {
  std::uniform_int_distribution<std::uint32_t> percent(0, 100);
  for (auto& device : devices_) {
    device.used = Bytes{device.memory.count / 2 + percent(random_) * (1_MiB).count};
    device.utilisation = percent(random_);
    if (device.kind == model::DeviceKind::cpu) continue;
    device.temperature = static_cast<std::int32_t>(30 + percent(random_) / 2);
    device.power = 70 + percent(random_) * 6.25;
  }
}

// As the agent: every few seconds, and at once when something changed.
net::Task<> SimulatedWorker::send_reports() {
  for (;;) {
    co_await changed_->wait(kReportEvery);
    if (!follower_.enlisted()) continue;
    measure();
    cluster::WorkerReport report{.worker = name_,
                                 .sequence = ++sequence_,
                                 .revision = revision_,
                                 .devices = devices_,
                                 .packs = model_.packs,
                                 .address = address()};
    if (std::exchange(moved_, false)) model_.on_tell(name_, address());
    const auto sent = co_await follower_.link().report(std::move(report));
    if (sent) {
      ++reports_;
      continue;
    }
    ++failures_;
    co_await net::sleep_for(kReportRetry);
    changed_->wake();
  }
}

}  // namespace berth::bench
