// Values for the tests of this module: a model, packs, workers.
#pragma once

#include "backends/check.h"
#include "schedule/place.h"

namespace berth::schedule::testing {

// A Llama of `layers` layers of 200 MiB, with a head of 500 MiB and 32,768 tokens of context.
inline model::ModelProfile llama(std::uint32_t layers = 32) {
  model::ModelProfile profile;
  profile.format = model::FileFormat::gguf;
  profile.architecture = "llama";
  profile.parameters = 8'000'000'000;
  profile.context_length = 32768;
  profile.layer_count = layers;
  profile.embedding_length = 4096;
  profile.feed_forward_length = 14336;
  profile.vocabulary = 128256;
  profile.attention = {.heads = 32,
                       .kv_heads = std::vector<std::uint32_t>(layers, 8),
                       .key_length = 128,
                       .value_length = 128,
                       .windowed = {}};
  profile.weights.input = 500_MiB;
  profile.weights.layers.assign(layers, 200_MiB);
  profile.weights.output = 500_MiB;
  profile.files = {{.path = "/models/llama.gguf", .size = 7400_MiB}};
  profile.total_size = 7400_MiB;
  return profile;
}

inline model::PackStatus pack(std::string name, std::vector<std::string> runtimes,
                              model::PackState state = model::PackState::installed) {
  model::PackStatus status;
  status.pack = {.name = std::move(name),
                 .engine = "llama.cpp",
                 .backend = "llama-box",
                 .version = "1",
                 .build = "b1",
                 .runtimes = std::move(runtimes),
                 .program = {"llama-server"}};
  status.state = state;
  return status;
}

inline model::DeviceView device(model::DeviceKind kind, std::uint32_t index, Bytes memory,
                                Bytes used = {}) {
  model::DeviceView view;
  view.device.kind = kind;
  view.device.index = index;
  view.device.id =
      kind == model::DeviceKind::cpu ? "cpu" : fmt::format("{}:{}", enum_name(kind), index);
  view.device.memory = memory;
  view.device.used = used;
  return view;
}

// A ready Linux machine with `ram` and GPUs, and one pack that can use CPU and CUDA.
inline model::WorkerView worker(std::string name, Bytes ram, const std::vector<Bytes>& gpus = {}) {
  model::WorkerView view;
  view.name = std::move(name);
  view.system = {.os = "linux", .arch = "amd64", .cores = 8, .threads = 16, .memory = ram};
  view.labels = {{"os", "linux"}, {"arch", "amd64"}, {"worker-name", view.name}};
  view.devices.push_back(device(model::DeviceKind::cpu, 0, ram));
  for (std::uint32_t i = 0; i < gpus.size(); ++i) {
    view.devices.push_back(device(model::DeviceKind::cuda, i, gpus[i]));
  }
  view.packs = {pack("llama-server", {"cpu", "cuda"})};
  return view;
}

inline model::ClusterView cluster(const std::vector<model::WorkerView>& workers) {
  model::ClusterView view;
  for (const auto& one : workers) view.add(one);
  return view;
}

// A deployment with its profile and parameters, kept alive for place().
struct Asked {
  std::string backend = "llama-box";
  model::Deployment deployment;
  model::ModelProfile profile = llama();
  model::ComputeTable compute;
  model::Observation observed;

  [[nodiscard]] tl::expected<ScoredPlacement, Rejections> place(
      const model::ClusterView& view) const {
    const auto& chosen = *backends::builtin_backends().find(backend);
    const auto parameters = backends::parse_parameters(chosen.descriptor(), deployment.parameters);
    return schedule::place({deployment, profile, chosen, parameters.value(), &compute, &observed},
                           view);
  }
};

inline Asked asked(std::vector<std::string> parameters = {}) {
  Asked request;
  request.deployment.name = "chat";
  request.deployment.source = "/models/llama.gguf";
  request.deployment.parameters = std::move(parameters);
  return request;
}

// The same model in Hugging Face's format, of so many attention heads.
inline Asked asked_for_ranks(std::string backend, std::vector<std::string> parameters = {},
                             std::uint32_t heads = 32) {
  Asked request = asked(std::move(parameters));
  request.backend = std::move(backend);
  request.profile.format = model::FileFormat::safetensors;
  request.profile.model_type = "llama";
  request.profile.attention.heads = heads;
  request.profile.attention.kv_heads.assign(request.profile.layer_count, heads);
  return request;
}

// A worker whose pack is for another backend.
inline model::WorkerView worker_for(const std::string& backend, std::string name,
                                    const std::vector<Bytes>& devices,
                                    model::DeviceKind kind = model::DeviceKind::cuda) {
  auto view = worker(std::move(name), 64_GiB);
  for (std::uint32_t i = 0; i < devices.size(); ++i) {
    view.devices.push_back(device(kind, i, devices[i]));
  }
  view.packs = {pack("engine", {"cpu", std::string(enum_name(kind))})};
  view.packs.front().pack.backend = backend;
  return view;
}

}  // namespace berth::schedule::testing
