// bench_schedule: how long placement takes in clusters whose devices are half taken.
//
//   bench_schedule [ROUNDS]    a line for each case: its name, workers, then the median, the 99th
//                              percentile and the most in milliseconds of processor time
//
// Each round places one model anew in the same cluster.
#include "schedule/place.h"
#include "schedule/test_cluster.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string>
#include <vector>

namespace {

using namespace berth;
using schedule::testing::Asked;

constexpr std::size_t kRounds = 200;
constexpr std::size_t kDevices = 8;

double milliseconds() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

// Workers of eight GPUs of 24 GiB, of which every second one is taken.
model::ClusterView half_full(const std::string& backend, std::size_t workers) {
  model::ClusterView view;
  for (std::size_t i = 0; i < workers; ++i) {
    auto worker = schedule::testing::worker_for(backend, fmt::format("worker-{:05}", i),
                                                std::vector<Bytes>(kDevices, 24_GiB));
    for (auto& device : worker.devices) {
      const bool is_taken =
          device.device.kind != model::DeviceKind::cpu && (device.device.index + i) % 2 == 0;
      if (is_taken) device.instances = {{.claim = 20_GiB, .used = 20_GiB}};
      if (is_taken) device.device.used = 20_GiB;
    }
    view.add(std::move(worker));
  }
  return view;
}

bool measure(const char* name, const Asked& asked, std::size_t workers, std::size_t rounds,
             bool fits) {
  const auto view = half_full(asked.backend, workers);
  std::vector<double> taken;
  for (std::size_t i = 0; i < rounds; ++i) {
    const double began = milliseconds();
    const auto placed = asked.place(view);
    taken.push_back(milliseconds() - began);
    if (placed.has_value() != fits) {
      std::fprintf(stderr, "%s: %s\n", name, placed ? "was placed" : "found no place");
      return false;
    }
  }
  std::ranges::sort(taken);
  std::printf("%s %zu %.3f %.3f %.3f\n", name, workers, taken[taken.size() / 2],
              taken[taken.size() * 99 / 100], taken.back());
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  using schedule::testing::asked;
  using schedule::testing::asked_for_ranks;
  const std::size_t rounds =
      argc > 1 ? std::max<std::size_t>(1, std::strtoul(argv[1], nullptr, 10)) : kRounds;
  auto large = asked();  // three devices of 24 GiB
  large.profile.weights.layers.assign(32, 1600_MiB);
  auto too_large = asked();
  too_large.profile.weights.layers.assign(32, 100_GiB);
  bool good = true;
  for (const std::size_t workers : {500UL, 5'000UL}) {
    good = measure("gguf-one-device", asked(), workers, rounds, true) && good;
    good = measure("gguf-several-devices", large, workers, rounds, true) && good;
    good = measure("vllm-one-device", asked_for_ranks("vllm"), workers, rounds, true) && good;
    good = measure("vllm-four-devices", asked_for_ranks("vllm", {"-tp", "4"}), workers, rounds,
                   true) &&
           good;
    const auto few = std::max<std::size_t>(1, rounds / 20);
    good = measure("gguf-no-place", too_large, workers, few, false) && good;
    good = measure("vllm-several-workers", asked_for_ranks("vllm", {"-tp", "16"}), workers, few,
                   false) &&
           good;
  }
  return good ? 0 : 1;
}
