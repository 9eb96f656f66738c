#include "schedule/place.h"
#include "schedule/test_cluster.h"

#include <algorithm>
#include <functional>

#include <gtest/gtest.h>
#include <rapidcheck.h>

namespace berth::schedule {
namespace {

using namespace testing;  // the fixtures

// Any worker: up to four GPUs, partly in use or claimed, sometimes down or without a pack for them.
rc::Gen<model::WorkerView> any_worker(const std::string& name) {
  return rc::gen::exec([name] {
    const auto gibibytes = [](int most) {
      return 1_GiB * static_cast<std::uint64_t>(*rc::gen::inRange(0, most));
    };
    std::vector<Bytes> gpus(static_cast<std::size_t>(*rc::gen::inRange(0, 5)));
    for (auto& memory : gpus) memory = gibibytes(40);
    auto view = worker(name, gibibytes(64), gpus);
    for (auto& device : view.devices) {
      device.device.reserved = gibibytes(3);
      device.device.used = gibibytes(12);
      device.instances = {{.claim = gibibytes(12), .used = gibibytes(6)}};
      device.device.unified = device.device.kind != model::DeviceKind::cpu &&
                              *rc::gen::weightedElement<bool>({{5, false}, {1, true}});
    }
    if (*rc::gen::inRange(0, 6) == 0) view.state = model::WorkerState::not_ready;
    if (*rc::gen::inRange(0, 4) == 0) view.packs = {pack("small", {"cpu"})};
    view.packs.push_back(pack("vllm", {"cuda"}));
    view.packs.back().pack.backend = "vllm";
    return view;
  });
}

std::vector<model::WorkerView> any_workers() {
  std::vector<model::WorkerView> workers;
  const auto count = *rc::gen::inRange(0, 5);
  workers.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) workers.push_back(*any_worker(fmt::format("w{}", i)));
  return workers;
}

Asked any_request_for_ranks() {
  const auto heads = *rc::gen::element(8U, 12U, 32U);
  auto request = asked_for_ranks("vllm", {}, heads);
  request.profile.weights.layers.assign(
      32, 1_MiB * static_cast<std::uint64_t>(*rc::gen::inRange(1, 2000)));
  auto& parameters = request.deployment.parameters;
  if (*rc::gen::inRange(0, 4) == 0) parameters = {"-tp", *rc::gen::element<std::string>("2", "4")};
  if (*rc::gen::inRange(0, 3) == 0) {
    parameters.insert(parameters.end(), {"--gpu-memory-utilization", "0.5"});
  } else if (*rc::gen::inRange(0, 2) == 0) {
    parameters.insert(parameters.end(), {"--kv-cache-memory-bytes", "17179869184"});
  }
  return request;
}

Asked any_request() {
  if (*rc::gen::inRange(0, 3) == 0) return any_request_for_ranks();
  auto request = asked();
  request.profile = llama(static_cast<std::uint32_t>(*rc::gen::inRange(1, 60)));
  auto& deployment = request.deployment;
  if (*rc::gen::arbitrary<bool>()) {
    deployment.parameters = {"--ctx-size", std::to_string(*rc::gen::inRange(1, 32769))};
  }
  if (*rc::gen::inRange(0, 4) == 0) {
    deployment.parameters.push_back(fmt::format("--gpu-layers={}", *rc::gen::inRange(0, 70)));
  }
  if (*rc::gen::inRange(0, 4) == 0) deployment.parameters.emplace_back("--tensor-split=2,1");
  deployment.cpu_offload = *rc::gen::element(model::CpuOffload::never, model::CpuOffload::allow,
                                             model::CpuOffload::only);
  deployment.placement =
      *rc::gen::element(model::PlacementPolicy::spread, model::PlacementPolicy::binpack);
  return request;
}

bool check(const std::string& what, const std::function<void()>& property) {
  return rc::check(what, property);
}

void check_free(const model::ClusterView& view, const std::string& worker,
                const std::vector<model::DeviceClaim>& claims) {
  const auto* host = view.find(worker);
  RC_ASSERT(host != nullptr);
  Bytes shared;
  for (const auto& claim : claims) {
    const auto* device = host->find_device(claim.device);
    RC_ASSERT(device != nullptr);
    RC_ASSERT(claim.total() <= device->free());
    if (device->device.unified || claim.device == "cpu") shared += claim.total();
  }
  RC_ASSERT(shared <= host->find_device("cpu")->free());
}

TEST(PlaceProperty, NeverExceedsTheFreeMemoryOfAnyDevice) {
  EXPECT_TRUE(check("within free memory", [] {
    const auto view = cluster(any_workers());
    const auto placed = any_request().place(view);
    if (!placed) return;
    check_free(view, placed->placement.worker, placed->placement.claim.devices);
    for (const auto& part : placed->placement.subordinates) {
      check_free(view, part.worker, part.devices);
    }
  }));
}

TEST(PlaceProperty, DoesNotDependOnTheOrderOfWorkers) {
  EXPECT_TRUE(check("permutation", [] {
    auto workers = any_workers();
    const auto request = any_request();
    const auto before = request.place(cluster(workers));
    std::reverse(workers.begin(), workers.end());
    const auto after = request.place(cluster(workers));
    RC_ASSERT(before.has_value() == after.has_value());
    if (before) {
      RC_ASSERT(to_text(to_json(before->placement)) == to_text(to_json(after->placement)));
    } else {
      RC_ASSERT(explain(before.error()) == explain(after.error()));
    }
  }));
}

TEST(PlaceProperty, StillFitsWhenAWorkerJoins) {
  EXPECT_TRUE(check("one more worker", [] {
    auto workers = any_workers();
    const auto request = any_request();
    if (!request.place(cluster(workers))) return;
    workers.push_back(*any_worker("a-new-one"));
    RC_ASSERT(request.place(cluster(workers)).has_value());
  }));
}

TEST(PlaceProperty, SaysWhyForEveryWorker) {
  EXPECT_TRUE(check("reasons", [] {
    const auto workers = any_workers();
    const auto placed = any_request().place(cluster(workers));
    if (placed) return;
    RC_ASSERT(!placed.error().empty());
    RC_ASSERT(!explain(placed.error()).empty());
    if (placed.error().front().code == RejectionCode::invalid_request) return;
    for (const auto& worker : workers) {
      RC_ASSERT(std::any_of(placed.error().begin(), placed.error().end(),
                            [&](const Rejection& r) { return r.worker == worker.name; }));
    }
  }));
}

}  // namespace
}  // namespace berth::schedule
