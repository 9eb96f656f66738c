#include "text/cluster_file.h"

#include "text/model_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::text {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

PackChoice packs() {
  model::EnginePack known{.name = "llama-server",
                          .engine = "llama.cpp",
                          .backend = "llama-box",
                          .runtimes = {"cpu"},
                          .program = {"llama-server"}};
  model::EnginePack usual = known;
  usual.name = "assumed";
  usual.platforms = {"linux/amd64"};
  return {.known = {known}, .usual = {usual}};
}

model::ClusterView read(std::string_view text) {
  auto cluster = read_cluster(text, "c.yaml", packs());
  if (cluster) return *std::move(cluster);
  ADD_FAILURE() << cluster.error().to_string();
  return {};
}

TEST(ClusterFile, DescribesAWorkerInAFewWords) {
  const auto cluster = read("workers: [{name: box, memory: 64GiB, gpus: 2 x 24GiB cuda}]");
  const auto* box = cluster.find("box");
  ASSERT_NE(box, nullptr);
  EXPECT_EQ(box->state, model::WorkerState::ready);
  EXPECT_EQ(box->scheduling, model::Scheduling::open);
  EXPECT_EQ(box->system.os, "linux");
  EXPECT_EQ(box->system.arch, "amd64");
  EXPECT_EQ(box->system.memory, 64_GiB);
  ASSERT_EQ(box->devices.size(), 3U);
  EXPECT_EQ(box->find_device("cpu")->free(), 64_GiB);
  EXPECT_EQ(box->find_device("cuda:1")->free(), 24_GiB);
  EXPECT_EQ(box->find_device("cuda:1")->device.index, 1U);
  ASSERT_EQ(box->packs.size(), 1U);
  EXPECT_EQ(box->packs[0].pack.name, "assumed");
  EXPECT_EQ(box->packs[0].state, model::PackState::installed);
}

TEST(ClusterFile, TellsEverythingOfWorkersAndDevices) {
  const auto cluster = read(R"(
workers:
  - name: edge
    os: darwin
    arch: arm64
    cores: 12
    memory: 32GiB
    used: 4GiB
    reserved: 2GiB
    labels: {zone: a, disk: fast}
    state: suspected
    reason: silent
    scheduling: cordoned
    host: 10.0.0.7
    gpus:
      - {kind: metal, memory: 24GiB, unified: true, used: 1GiB, reserved: 512MiB}
      - 8GiB vulkan
      - {kind: cuda, memory: 80GiB, capability: "9.0", name: H100, mig: 3 x 20GiB}
      - {kind: cuda, memory: 24GiB, measured: false}
    packs:
      - llama-server
      - {name: llama-server, runtimes: [cpu, metal], flags: [--ctx-size], state: failed, reason: no}
      - {name: own, backend: vllm, engine: vllm, version: "1.2", runtimes: [cuda]}
)");
  const auto* edge = cluster.find("edge");
  ASSERT_NE(edge, nullptr);
  EXPECT_EQ(edge->system.os, "darwin");
  EXPECT_EQ(edge->system.cores, 12U);
  EXPECT_EQ(edge->labels.at("disk"), "fast");
  EXPECT_EQ(edge->state, model::WorkerState::suspected);
  EXPECT_EQ(edge->reason, "silent");
  EXPECT_EQ(edge->scheduling, model::Scheduling::cordoned);
  EXPECT_EQ(edge->host, "10.0.0.7");
  EXPECT_EQ(edge->find_device("cpu")->free(), 26_GiB);
  EXPECT_TRUE(edge->find_device("metal:0")->device.unified);
  EXPECT_EQ(edge->find_device("metal:0")->free(), 24_GiB - 1_GiB - 512_MiB);
  EXPECT_EQ(edge->find_device("vulkan:0")->free(), 8_GiB);
  EXPECT_EQ(edge->find_device("cuda:0"), nullptr);
  EXPECT_EQ(edge->find_device("cuda:0.2")->free(), 20_GiB);
  EXPECT_EQ(edge->find_device("cuda:0.2")->device.part_of, "cuda:0");
  EXPECT_EQ(edge->find_device("cuda:0.2")->device.capability, "9.0");
  EXPECT_EQ(edge->find_device("cuda:1")->free(), 0_B);
  ASSERT_EQ(edge->packs.size(), 3U);
  EXPECT_THAT(edge->packs[0].pack.runtimes, ElementsAre("cpu"));
  EXPECT_THAT(edge->packs[1].pack.runtimes, ElementsAre("cpu", "metal"));
  EXPECT_EQ(edge->packs[1].pack.flags.at(0).flag, "--ctx-size");
  EXPECT_EQ(edge->packs[1].state, model::PackState::failed);
  EXPECT_EQ(edge->packs[1].reason, "no");
  EXPECT_EQ(edge->packs[2].pack.version, "1.2");
}

TEST(ClusterFile, MakesManyWorkersOfATemplate) {
  const auto cluster = read(R"(
templates:
  node: {memory: 512GiB, gpus: 8 x 80GiB, labels: {zone: a}}
workers:
  - 3 of node
  - {of: node, name: rack, count: 2, memory: 1024GiB}
  - {of: node, name: single}
)");
  EXPECT_EQ(cluster.workers().size(), 6U);
  for (const auto* name : {"node-1", "node-3", "rack-1", "rack-2", "single"}) {
    ASSERT_NE(cluster.find(name), nullptr) << name;
    EXPECT_EQ(cluster.find(name)->devices.size(), 9U);
    EXPECT_EQ(cluster.find(name)->labels.at("zone"), "a");
  }
  EXPECT_EQ(cluster.find("rack-2")->system.memory, 1024_GiB);
  EXPECT_EQ(cluster.find("node-2")->system.memory, 512_GiB);
  EXPECT_EQ(read("templates: {n: {memory: 1GiB}}\nworkers: 4000 of n").workers().size(), 4000U);
}

TEST(ClusterFile, CountsWhatInstancesHold) {
  const auto cluster = read(R"(
workers:
  - {name: a, memory: 64GiB, gpus: [{memory: 24GiB, used: 2GiB}]}
  - {name: b, memory: 64GiB, gpus: [{memory: 24GiB, kind: metal, unified: true}]}
instances:
  - model: chat
    worker: a
    claims: {cuda:0: 8GiB, cpu: 1GiB}
    used: {cuda:0: 5GiB}
    also:
      - {worker: b, claims: {metal:0: 4GiB}}
)");
  const auto* a = cluster.find("a");
  ASSERT_NE(a, nullptr);
  EXPECT_EQ(a->instances.at("chat"), 1U);
  EXPECT_EQ(a->find_device("cuda:0")->device.used, 7_GiB);
  EXPECT_EQ(a->find_device("cuda:0")->claimed(), 8_GiB);
  EXPECT_EQ(a->find_device("cuda:0")->free(), 14_GiB);  // others' 2 GiB and the claim
  EXPECT_EQ(a->find_device("cpu")->free(), 63_GiB);
  const auto* b = cluster.find("b");
  EXPECT_EQ(b->find_device("metal:0")->free(), 20_GiB);
  EXPECT_EQ(b->find_device("cpu")->free(), 60_GiB);  // it shares the CPU's memory
}

TEST(ClusterFile, MayBeJson) {
  EXPECT_NE(read(R"({"workers": [{"name": "a", "memory": 1073741824}]})").find("a"), nullptr);
}

TEST(ClusterFile, ErrorsNameFileLineAndFieldAndWhatToDo) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "c.yaml is empty; a cluster has at least workers"},
      {"nodes: []\n", "c.yaml, line 1, nodes: there is no field nodes; known here: templates, "},
      {"workers:\n  - {name: a}\n", "line 2, workers[0].memory: a worker needs memory"},
      {"workers:\n  - {memory: 1GiB}\n", "line 2, workers[0].name: a worker needs a name"},
      {"workers:\n  - name: a\n    memory: big\n", "line 3, workers[0].memory"},
      {"workers:\n  - name: a\n    memory: 1GiB\n    gpus: 4 of 24GiB\n",
       "line 4, workers[0].gpus: \"4 of 24GiB\" is no group of devices; write it as"},
      {"workers:\n  - name: a\n    memory: 1GiB\n    gpus: 65 x 1GiB\n", "1 to 64 of them"},
      {"workers:\n  - name: a\n    memory: 1GiB\n    gpus:\n      - 1GiB\n      - {kind: cuda}\n",
       "line 6, workers[0].gpus[1].memory: memory is missing"},
      {"workers:\n  - name: a\n    memory: 1GiB\n    gpus:\n      - {memory: 1GiB, kind: tpu}\n",
       "kind must be one of cpu, cuda"},
      {"workers:\n  - name: a\n    memory: 1GiB\n    gpus:\n      - {memory: 1GiB, mig: 2 x "
       "1GiB}\n",
       "gpus[0].mig: mig: 2 instances of 1.0 GiB are more than the 1.0 GiB of cuda:0"},
      {"workers:\n  - name: a\n    memory: 1GiB\n    packs: [lama]\n",
       "line 4, workers[0].packs[0].name: no engine pack is named \"lama\" (there is "
       "llama-server)"},
      {"workers:\n  - name: a\n    memory: 1GiB\n    packs: [{name: llama-server, x: 1}]\n",
       "packs[0].x: there is no field x"},
      {"workers:\n  - 5 of node\n",
       "line 2, workers[0]: there is no template \"node\" (there is "
       "none)"},
      {"workers: many\n", "line 1, workers: \"many\" is no worker; write \"50 of TEMPLATE\""},
      {"templates:\n  n: {memory: 1GiB, corse: 2}\nworkers: 2 of n\n",
       "line 2, templates.n.corse: there is no field corse"},
      {"templates:\n  n: {cores: 2}\nworkers:\n  - 2 of n\n",
       "line 4, workers[0].memory: a worker needs memory"},
      {"templates:\n  n: {memory: 1GiB, gpus: x}\nworkers:\n  - 2 of n\n",
       "line 2, templates.n.gpus: \"x\" is no group"},
      {"templates:\n  n: {memory: 1GiB}\nworkers:\n  - {of: n, count: 30000}\n",
       "workers[0].count: count must be at most 20000"},
      {"templates:\n  n: {memory: 1GiB}\nworkers:\n  - 2 of n\n  - 3 of n\n",
       "line 5, workers[1].name: there are two workers named \"n-1\""},
      {"workers:\n  - {name: a, memory: 1GiB}\ninstances:\n  - {model: m, worker: b, claims: {}}\n",
       "line 4, instances[0].worker: there is no worker named \"b\""},
      {"workers:\n  - {name: a, memory: 1GiB}\ninstances:\n  - model: m\n    worker: a\n"
       "    claims:\n      cuda:0: 1GiB\n",
       "line 7, instances[0].claims.cuda:0: a has no device cuda:0 (there is cpu)"},
      {"workers:\n  - {name: a, memory: 1GiB}\n---\nworkers: []\n",
       "c.yaml must hold one document, not 2"},
      {"workers: [\n", "c.yaml: line"},
  };
  for (const auto& [text, words] : cases) {
    const auto cluster = read_cluster(text, "c.yaml", packs());
    ASSERT_FALSE(cluster) << text;
    EXPECT_EQ(cluster.error().code, ErrorCode::invalid_parameter) << text;
    EXPECT_THAT(cluster.error().to_string(), HasSubstr(words)) << text;
  }
}

TEST(ModelFile, DescribesAModelInAFewWords) {
  const auto profile =
      profile_of(parse_json(R"({"name": "m", "layers": 4, "layer": "200MiB", "input": "1GiB",
                                "output": "1GiB"})")
                     .value());
  ASSERT_TRUE(profile) << profile.error().to_string();
  EXPECT_EQ(profile->format, model::FileFormat::gguf);
  EXPECT_EQ(profile->layer_count, 4U);
  EXPECT_EQ(profile->total_size, 2_GiB + 800_MiB);
  EXPECT_EQ(profile->attention.kv_heads.size(), 4U);
  EXPECT_EQ(profile->attention.value_length, 128U);
  EXPECT_EQ(profile->files.at(0).path, "/models/m.gguf");
}

TEST(ModelFile, SaysWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"layer": "1GiB"})", "layers is missing"},
      {R"({"layers": 2})", "layer is missing"},
      {R"({"layers": 2, "layer": ["1GiB"]})", "layer lists 1 sizes, and there are 2 layers"},
      {R"({"layers": 2, "layer": true})", "a whole number"},
      {R"({"layers": 2, "layer": 1, "size": 3})", "there is no field size"},
  };
  for (const auto& [text, words] : cases) {
    const auto profile = profile_of(parse_json(text).value());
    ASSERT_FALSE(profile) << text;
    EXPECT_THAT(profile.error().to_string(), HasSubstr(words)) << text;
  }
}

}  // namespace
}  // namespace berth::text
