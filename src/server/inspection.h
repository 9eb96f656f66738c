// Inspection: what a model is, what it needs, and which backend would serve it. Pure, from what its
// files say.
#pragma once

#include "backends/backend.h"
#include "base/describe.h"
#include "cluster/protocol.h"
#include "model/placement.h"
#include "model/profile.h"
#include "server/fit.h"
#include "sources/hub/choice.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace berth::server {

// One way to run the model, and what it takes.
struct Way {
  std::string on;  // "cpu" or "device"
  model::Serving serving;
  std::uint64_t engine_context = 0;  // tokens of all slots, as the engine gets them
  model::Claim claim;
  // Of all requests together, where the engine shares its cache: room for one, unless flags give
  // the cache a size.
  std::uint64_t cached_tokens = 0;
};
BOOST_DESCRIBE_STRUCT(Way, (), (on, serving, engine_context, claim, cached_tokens))

// The machine that read the model.
struct Machine {
  std::string cpu;
  std::uint32_t cores = 0;
  Bytes memory;  // 0: unknown
};
BOOST_DESCRIBE_STRUCT(Machine, (), (cpu, cores, memory))

struct Inspection {
  std::string path;
  std::optional<std::string> worker;      // that read it; absent: the machine of whoever answers
  std::optional<sources::HubChoice> hub;  // of a model on a hub: which files of its repository
  model::ModelProfile profile;
  std::string backend;
  std::string backend_reason;
  std::vector<std::string> other_backends;  // why it is none of these
  std::vector<std::string> platforms;       // where it can run: "linux/amd64"
  std::vector<std::string> warnings;
  Machine machine;
  std::vector<Way> ways;
  bool shares_cache = false;     // a way has room for one request, and more memory serves more
  std::optional<DeviceFit> fit;  // where devices were asked about
};
BOOST_DESCRIBE_STRUCT(Inspection, (),
                      (path, worker, hub, profile, backend, backend_reason, other_backends,
                       platforms, warnings, machine, ways, shares_cache, fit))

// What is asked.
struct InspectRequest {
  std::string source;
  std::optional<std::string> worker;
  std::optional<std::string> backend;
  std::vector<std::string> parameters;
  std::optional<std::uint32_t> context;
  std::optional<std::uint32_t> slots;
  std::vector<Bytes> devices;
};
BOOST_DESCRIBE_STRUCT(InspectRequest, (),
                      (source, worker, backend, parameters, context, slots, devices))
inline constexpr FieldInfo kInspectFields[] = {
    {.name = "source",
     .text =
         "the absolute path of the model's file or folder, a glob that matches it, its name on a "
         "hub "
         "(hf:ORG/NAME:QUANT, ms:OWNER/NAME, ollama:NAME:TAG), or the http(s) address of a GGUF "
         "file",
     .required = true},
    {.name = "worker",
     .text = "the worker that is to read it; the first that can where absent; not for what is on "
             "the web"},
    {.name = "backend", .text = "the backend that is to serve it; chosen where absent"},
    {.name = "parameters", .text = "flags for the engine, as on its command line"},
    {.name = "context",
     .text = "longest request, by the flag that the backend has",
     .unit = "tokens"},
    {.name = "slots", .text = "requests that run at the same time, by the backend's flag"},
    {.name = "devices", .text = "memory of devices that it may use, one each", .unit = "bytes"},
};
constexpr std::span<const FieldInfo> field_table(const InspectRequest*) { return kInspectFields; }

// What an engine measures of the buffers of a model, with the flags of a deployment.
using AskJudge = std::function<model::ComputeTable(cluster::JudgeRequest)>;

// `judge` may be empty. A projector or adapter has no backend and no ways. Fails where no backend
// serves the model, or a flag is wrong (invalid_parameter).
Result<Inspection> inspect(const InspectRequest& request, model::ModelProfile profile,
                           Machine machine, const backends::Registry& backends,
                           const AskJudge& judge = {});

}  // namespace berth::server
