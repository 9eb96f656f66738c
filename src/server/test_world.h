// For tests: a world in which decisions of `reconcile` are carried out. Included by *_test.cpp
// only.
#pragma once

#include "server/reconcile.h"

#include <algorithm>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace berth::server::testing {

using model::InstanceState;

inline model::WorkerView make_worker(const std::string& name) {
  model::WorkerView worker{.name = name, .state = model::WorkerState::ready};
  worker.system = {.os = "linux", .arch = "amd64", .cores = 2, .threads = 2, .memory = 16_GiB};
  worker.labels = {{"os", "linux"}};
  worker.devices = {{.device = {.id = "cpu", .kind = model::DeviceKind::cpu, .memory = 16_GiB}}};
  model::PackStatus pack{.pack = {.name = "xllamacpp",
                                  .engine = "llama.cpp",
                                  .backend = "llama-box",
                                  .kind = model::PackKind::wheel,
                                  .capabilities = {"text", "chat"},
                                  .runtimes = {"cpu"}},
                         .state = model::PackState::installed};
  worker.packs = {pack};
  return worker;
}

inline model::Model make_model(const std::string& name, std::uint32_t replicas) {
  model::Model model{.deployment = {.name = name, .source = "/m.gguf", .replicas = replicas},
                     .backend = "llama-box"};
  auto& profile = model.profile;
  profile.format = model::FileFormat::gguf;
  profile.architecture = "llama";
  profile.context_length = 2048;
  profile.layer_count = 2;
  profile.embedding_length = 64;
  profile.feed_forward_length = 128;
  profile.vocabulary = 300;
  profile.attention = {.heads = 4, .kv_heads = {2, 2}, .key_length = 16, .value_length = 16};
  profile.weights = {.input = 1_MiB, .layers = {1_MiB, 1_MiB}, .output = 1_MiB};
  profile.files = {{.path = "/m.gguf", .size = 4_MiB}};
  profile.total_size = 4_MiB;
  return model;
}

// A world in which decisions are carried out as the control loop does, and workers obey.
class World {
 public:
  World() { state_.view.add(make_worker("w1")); }

  void put(const model::Model& model) {
    auto& models = state_.models;
    std::erase_if(models, [&](const auto& m) { return m.name == model.deployment.name; });
    models.push_back({model.deployment.name, ++revision_, model});
  }

  // Runs until nothing changes any more; fails the test where that never happens.
  void settle() {
    for (int pass = 0; pass < 20; ++pass) {
      const auto decision = reconcile(state_, backends::builtin_backends(), random_);
      drained_ = decision.drained;
      told_.insert(told_.end(), decision.events.begin(), decision.events.end());
      if (decision.writes.empty()) return;
      for (const auto& write : decision.writes) apply(write);
    }
    ADD_FAILURE() << "the controllers do not come to rest";
  }

  // On each worker that is ready, every assigned instance says that it serves; the worker has
  // forgotten the others, and those that it was to drain.
  void obey() {
    for (const auto& [name, worker] : state_.view.workers()) {
      if (worker.state == model::WorkerState::ready) obey(name);
    }
  }

  void set_worker(const std::string& name, const std::function<void(model::WorkerView&)>& change) {
    model::WorkerView worker = *state_.view.find(name);
    change(worker);
    state_.view.add(std::move(worker));
  }
  // As the control loop judges a worker that is silent.
  void fall_silent(const std::string& name, model::WorkerState state, bool given_up = false) {
    set_worker(name, [&](model::WorkerView& worker) {
      worker.state = state;
      worker.reason = "not heard since noon";
    });
    if (given_up) state_.given_up.insert(name);
  }
  // It reports again: each assigned instance is as it was.
  void speak_again(const std::string& name) {
    set_worker(name, [](model::WorkerView& worker) { worker.state = model::WorkerState::ready; });
    state_.given_up.erase(name);
    obey(name);
  }

  // Its worker gives it up.
  void fail(const std::string& name, const std::string& reason) {
    for (auto& instance : state_.instances) {
      if (instance.name != name) continue;
      instance.value.state = InstanceState::failed;
      instance.value.reason = reason;
      instance.value.failures = 6;
      instance.revision = ++revision_;
    }
  }

  [[nodiscard]] std::size_t count(InstanceState state) const {
    return static_cast<std::size_t>(
        std::count_if(state_.instances.begin(), state_.instances.end(),
                      [&](const auto& instance) { return instance.value.state == state; }));
  }
  ClusterState& state() { return state_; }
  // As the last pass found them.
  [[nodiscard]] const std::vector<std::string>& drained() const { return drained_; }
  [[nodiscard]] bool was_told(const std::string& reason) const {
    return std::any_of(told_.begin(), told_.end(),
                       [&](const auto& event) { return event.reason == reason; });
  }

 private:
  void obey(const std::string& worker) {
    auto& progress = state_.progress[worker];
    progress.revision = revision_;
    progress.members.clear();
    for (const auto& assignment : state_.assignments) {
      if (assignment.value.worker != worker || assignment.value.drain) continue;
      progress.members.emplace_back(assignment.value.instance, assignment.value.member);
      for (auto& instance : state_.instances) {
        const bool is_its = instance.name == assignment.value.instance &&
                            instance.value.generation == assignment.value.generation;
        const bool starts = instance.value.state == InstanceState::scheduled ||
                            instance.value.state == InstanceState::unreachable;
        if (!is_its || !starts) continue;
        instance.value.state = InstanceState::ready;
        instance.revision = ++revision_;
      }
    }
  }

  void apply(const store::Write& write) {
    ++revision_;
    if (write.kind == model::kModelKind) replace(state_.models, write);
    if (write.kind == model::kInstanceKind) replace(state_.instances, write);
    if (write.kind == model::kAssignmentKind) replace(state_.assignments, write);
  }

  template <class T>
  void replace(std::vector<store::Stored<T>>& list, const store::Write& write) {
    const auto found = std::find_if(list.begin(), list.end(),
                                    [&](const auto& item) { return item.name == write.name; });
    const store::Revision before = found == list.end() ? 0 : found->revision;
    if (write.expected) {
      EXPECT_EQ(*write.expected, before) << write.kind << " " << write.name;
    }
    if (found != list.end()) list.erase(found);
    if (!write.data) return;
    list.push_back({write.name, revision_,
                    from_json<T>(json::value(*write.data), UnknownMembers::refuse).value()});
  }

  ClusterState state_;
  std::vector<std::string> drained_;
  std::vector<store::Event> told_;
  store::Revision revision_ = 10;
  int ids_ = 0;
  Randomness random_{.new_id = [this] { return fmt::format("id{}", ++ids_); },
                     .new_key = [] { return std::string("key"); }};
};

}  // namespace berth::server::testing
