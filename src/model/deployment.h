// Deployment: what a user asks for. The one shape that the CLI's flags, YAML, the API, the web form
// and the OpenAPI document share.
#pragma once

#include "base/describe.h"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace berth::model {

// What a model is for.
enum class Category { llm, embedding, reranker, image, speech_to_text, text_to_speech };
BOOST_DESCRIBE_ENUM(Category, llm, embedding, reranker, image, speech_to_text, text_to_speech)

// Whether layers may be computed by the CPU.
enum class CpuOffload {
  never,  // devices only; the model waits where they have no room
  allow,  // as many layers on devices as fit; the CPU alone only where no device takes a layer
  only,   // the CPU alone
};
BOOST_DESCRIBE_ENUM(CpuOffload, never, allow, only)

// Whether one instance may be split over several workers.
enum class Distributed { never, allow };
BOOST_DESCRIBE_ENUM(Distributed, never, allow)

// How instances are laid out: spread over workers, or packed on as few devices as possible.
enum class PlacementPolicy { spread, binpack };
BOOST_DESCRIBE_ENUM(PlacementPolicy, spread, binpack)

// How instances of an edited model are replaced, one at a time.
enum class UpdatePolicy {
  automatic,  // new first where there is room beside the old, else replace
  new_first,  // the old ends once the new serves: never fewer than `replicas` serve
  replace,    // the old ends first: never fewer than `replicas` - 1 serve
};
BOOST_DESCRIBE_ENUM(UpdatePolicy, automatic, new_first, replace)

enum class RestartPolicy { always, on_failure, never };
BOOST_DESCRIBE_ENUM(RestartPolicy, always, on_failure, never)

// Whether the kernel ends an engine that takes far more of the worker's memory than its claim.
enum class MemoryLimit {
  automatic,  // where the worker can limit it
  off,
};
BOOST_DESCRIBE_ENUM(MemoryLimit, automatic, off)

// Memory that the user vouches for; replaces the estimate.
struct GivenClaim {
  std::optional<Bytes> vram;  // on each device
  std::optional<Bytes> ram;   // of the worker
};
BOOST_DESCRIBE_STRUCT(GivenClaim, (), (vram, ram))

struct RestartSettings {
  RestartPolicy policy = RestartPolicy::always;
  // Failures in a row before the instance is given up; a healthy while resets the count.
  std::uint32_t max_failures = 5;
};
BOOST_DESCRIBE_STRUCT(RestartSettings, (), (policy, max_failures))
inline constexpr FieldInfo kRestartFields[] = {
    {.name = "policy", .text = "when an engine that ended is started again"},
    {.name = "max_failures",
     .text = "failures in a row before the instance is given up",
     .minimum = 0,
     .maximum = 1000},
};
constexpr std::span<const FieldInfo> field_table(const RestartSettings*) { return kRestartFields; }

struct Deployment {
  std::string name;
  std::string source;
  std::optional<std::string> backend;
  std::optional<std::string> backend_version;
  std::vector<Category> categories;
  std::uint32_t replicas = 1;
  std::vector<std::string> parameters;
  std::map<std::string, std::string> env;
  std::map<std::string, std::string> worker_selector;
  std::vector<std::string> devices;
  std::optional<CpuOffload> cpu_offload;
  std::optional<bool> cpu_when_full;
  std::optional<Distributed> distributed;
  PlacementPolicy placement = PlacementPolicy::spread;
  UpdatePolicy update = UpdatePolicy::automatic;
  std::optional<GivenClaim> claim;
  RestartSettings restart;
  std::optional<std::uint32_t> readiness_timeout;  // seconds
  MemoryLimit memory_limit = MemoryLimit::automatic;
  std::optional<std::uint32_t> progress_deadline;  // seconds
};
BOOST_DESCRIBE_STRUCT(Deployment, (),
                      (name, source, backend, backend_version, categories, replicas, parameters,
                       env, worker_selector, devices, cpu_offload, cpu_when_full, distributed,
                       placement, update, claim, restart, readiness_timeout, memory_limit,
                       progress_deadline))
inline constexpr FieldInfo kDeploymentFields[] = {
    {.name = "name",
     .text = "the name that requests use; letters, digits, '.', '_', '-' and '/', at most 100",
     .required = true},
    {.name = "source",
     .text =
         "where the model's files are: the absolute path of a file or folder, a glob that matches "
         "one model, or its name on a hub "
         "(hf:ORG/NAME:QUANT, ms:OWNER/NAME, ollama:NAME:TAG)",
     .required = true},
    {.name = "backend", .text = "the backend that serves it; chosen from the files where absent"},
    {.name = "backend_version", .text = "the engine pack's version; the newest where absent"},
    {.name = "categories", .text = "what the model is for; read from the files where absent"},
    {.name = "replicas",
     .text = "how many instances serve the model; 0 keeps it without any",
     .minimum = 0,
     .maximum = 1000},
    {.name = "parameters", .text = "flags for the engine, as on its command line"},
    {.name = "env", .text = "environment variables for the engine"},
    {.name = "worker_selector", .text = "labels that a worker must have"},
    {.name = "devices", .text = "devices to use, each as worker:device, such as box1:cuda:0"},
    {.name = "cpu_offload", .text = "whether the CPU may compute layers"},
    {.name = "cpu_when_full",
     .text = "run on the CPU alone where the devices are full, instead of waiting for them"},
    {.name = "distributed", .text = "whether one instance may span several workers"},
    {.name = "placement", .text = "spread instances over workers, or pack them"},
    {.name = "update", .text = "how instances are replaced after an edit"},
    {.name = "claim", .text = "memory that replaces the estimate"},
    {.name = "restart", .text = "what happens when an engine ends"},
    {.name = "readiness_timeout",
     .text = "how long a started engine may take until it serves; by the model's size where absent",
     .unit = "seconds",
     .minimum = 1,
     .maximum = 86400},
    {.name = "memory_limit",
     .text =
         "whether an engine is ended that takes far more of the worker's memory than its claim"},
    {.name = "progress_deadline",
     .text =
         "how long an edit may bring no instance to serve, downloads aside, before it is rolled "
         "back; 30 minutes where absent",
     .unit = "seconds",
     .minimum = 1,
     .maximum = 604800},
};
constexpr std::span<const FieldInfo> field_table(const Deployment*) { return kDeploymentFields; }

// Checks what the types alone do not: the name's letters, the source's form, environment names,
// the form of devices, and its size (128 KiB of JSON). Does not look at files. Fails with
// invalid_parameter naming the field.
Result<void> validate(const Deployment& deployment);

}  // namespace berth::model
