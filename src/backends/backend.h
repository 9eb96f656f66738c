// Backend: the code that knows one inference engine. Everything that Berth says about an engine
// (flags, validation, claims, command line, documentation) derives from its descriptor.
//
// All functions are pure and thread-safe: no I/O, no clock; the same input gives the same output.
#pragma once

#include "base/result.h"
#include "model/cluster_view.h"
#include "model/compute_table.h"
#include "model/deployment.h"
#include "model/gang.h"
#include "model/launch_plan.h"
#include "model/placement.h"
#include "model/profile.h"
#include "model/worker.h"

#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace berth::backends {

enum class ParameterType { flag, integer, number, text, choice, path };

// Who may set a parameter.
enum class ParameterOwner {
  user,     // passes through, checked
  shared,   // the user may wish; Berth computes what the engine gets (--ctx-size)
  managed,  // Berth's alone; refused at deployment
};

// One flag of an engine.
struct Parameter {
  std::string_view flag;                       // "--ctx-size"
  std::vector<std::string_view> aliases = {};  // "-c"
  // Spellings that switch it off, the canonical one first: "--no-mmap". They take no value.
  std::vector<std::string_view> negations = {};
  ParameterType type = ParameterType::text;
  ParameterOwner owner = ParameterOwner::user;
  std::string_view text = "";  // one sentence
  std::string_view default_value = "";
  std::optional<double> minimum = {};
  std::optional<double> maximum = {};
  std::vector<std::string_view> choices = {};
  std::vector<std::string_view> excludes = {};  // flags that can not stand beside it
  bool passed = true;  // false: Berth carries it out, and the engine never sees it
};

// What happens to a variable that the user sets and Berth also knows.
enum class VariableRule {
  forced,      // Berth's alone; refused at deployment
  overridden,  // Berth's alone; accepted with a warning, and not in force
  preset,      // Berth's value, unless the user gives one
  removed,     // never reaches the engine; refused at deployment
  guarded,     // could run other code; refused unless the operator allows it
};
struct Variable {
  std::string_view name;  // a '*' at its end stands for any rest
  VariableRule rule = VariableRule::forced;
  std::string_view why = "";    // half a sentence: "the flag does the same"
  std::string_view value = "";  // that the engine gets, where it is always the same
};

// A request's own fault that an engine answers with status 500.
struct EngineRefusal {
  std::string_view begins;   // the engine's message
  std::string_view message;  // what the client is told, with status 400
};

// What the gateway must know of the engine's HTTP API.
struct EngineApi {
  // The engine learns that its client has left only when it writes. The gateway then always asks
  // for a stream with the prompt's progress (`return_progress`), keeps the progress to itself, and
  // puts the answer together for clients that do not stream.
  bool learns_by_writing = false;
  std::span<const EngineRefusal> refusals = {};  // of a static table
  bool ignores_dimensions = false;               // of embeddings, which the gateway then shortens
  bool raw_scores = false;  // rerankers' scores come as their last layer gives them
};

// How an engine divides a model.
enum class Division {
  none,    // one device has all of it, or the CPU
  layers,  // devices and the CPU share out the layers
  ranks,   // devices share every layer, each as much as the others (tensor parallel)
};

struct BackendDescriptor {
  std::string_view name;  // "llama-box"
  std::string_view text;
  std::vector<std::string_view> engines;    // "llama.cpp"
  std::vector<std::string_view> platforms;  // "linux/amd64" …
  // Labels that a worker must have, where the user asks for none.
  std::map<std::string, std::string> worker_selector = {};
  std::vector<model::Category> categories;
  Division division = Division::none;
  bool cpu_offload = false;    // the CPU may compute, where the user does not forbid it
  bool cpu_when_full = false;  // also where the devices are merely full
  bool several_workers = false;
  bool spans_by_itself = false;  // over several workers also where the user does not ask for it
  std::string_view span_capability = {};  // that a pack has which can do so with layers
  bool powers_of_two = false;             // of ranks
  bool needs_addresses = false;           // of the devices' own network ports, over several workers
  bool only_by_name = false;              // never chosen by itself
  bool startable = true;          // false: known and estimated, but this version does not start it
  std::string_view sharing = "";  // how instances share a device, where one usually takes it all
  bool shares_cache = false;      // requests share one cache: a claim has room for one of them
  std::string_view context_flag = "";  // takes the tokens of one request: "--ctx-size"
  std::string_view slots_flag = "";    // takes how many requests run at the same time
  EngineApi api = {};
  std::vector<Parameter> parameters;
  std::vector<Variable> variables;
};

// The user's flags, read against the descriptor.
struct ParsedParameters {
  struct Given {
    std::string flag;  // canonical name (or negation), or as written where unknown
    std::optional<std::string> value;
    bool known = true;
    bool passed = true;  // to the engine
    bool operator==(const Given&) const = default;
  };
  std::vector<Given> given;           // in order
  std::vector<std::string> warnings;  // unknown flags, which pass through

  // The last value given for a canonical flag.
  [[nodiscard]] const Given* find(std::string_view flag) const;
};

// Reads "--flag value" (as two elements or one), "--flag=value" and "-c value". Fails with
// invalid_parameter and field "parameters" on a managed flag, a wrong type, a value out of range,
// or an exclusion.
Result<ParsedParameters> parse_parameters(const BackendDescriptor& descriptor,
                                          const std::vector<std::string>& parameters);

// How much of a model goes to devices: the question that `Backend::estimate` answers.
struct EstimateRequest {
  const model::ModelProfile& profile;
  const ParsedParameters& parameters;
  model::Serving serving;
  // Devices in the order that the engine will see them, with the layers that each takes; the layer
  // after the last one is the output layer. Empty: everything on the CPU.
  struct DeviceShare {
    std::string device;
    std::uint32_t layers = 0;
  };
  std::vector<DeviceShare> devices;
  std::uint32_t cores = 0;  // of the worker, physical; 0 = unknown
  // What the engine measured of its buffers; where it is null, or lacks a figure, a bound is used.
  const model::ComputeTable* compute = nullptr;
};

// One way to lay a model out, for the program of a pack that tells what it takes ("judge").
struct LayoutQuestion {
  model::Serving serving;
  std::vector<EstimateRequest::DeviceShare> devices;  // empty: everything on the CPU
};

// What that program answers, for each device in its order and the host.
struct LayoutAnswer {
  struct Sizes {
    Bytes weights;
    Bytes kv_cache;
    Bytes compute;
    Bytes projector;  // weights and buffers
  };
  std::vector<Sizes> devices;
  Sizes host;
};

// What the user's flags say about the way that a model is laid over devices.
struct DeviceWish {
  std::optional<std::uint32_t> layers = {};  // on devices, the output layer included; absent: all
  std::vector<double> split = {};            // proportions of the devices; empty: Berth decides
  std::optional<std::uint32_t> ranks = {};  // devices that share every layer; absent: Berth decides
};

// One process of an instance, and where it runs.
struct GangRole {
  std::string role;
  std::string worker;
  std::vector<std::string> after;  // roles that must be ready before it starts
  bool tunnelled = false;          // see GangMember
};

// What a plan is computed from.
struct LaunchContext {
  const model::Deployment& deployment;
  const model::ModelProfile& profile;
  const model::Placement& placement;
  model::Serving serving;
  const model::EnginePack& pack;
  std::string pack_folder;  // {pack}
  std::string pack_python;  // {python}
  const model::Worker& worker;
  std::string instance;
  std::uint64_t generation = 1;
  std::uint32_t member = 0;
  std::string folder;  // the instance's own, for files of the plan
  std::string engine_key;
  std::vector<std::uint16_t> ports;                    // leased for this member
  const model::Gang* gang = nullptr;                   // null: it is all of the instance
  std::map<std::string, std::string> system_env = {};  // of the worker itself
  std::vector<std::string> allowed_env = {};  // guarded variables that the worker's operator allows
};

class Backend {
 public:
  virtual ~Backend() = default;

  [[nodiscard]] virtual const BackendDescriptor& descriptor() const = 0;
  // Whether it can serve the model; the error says why not.
  [[nodiscard]] virtual Result<void> match(const model::ModelProfile& profile) const = 0;
  // Half a sentence on why it serves a model that it matches: "the file is GGUF".
  [[nodiscard]] virtual std::string match_reason(const model::ModelProfile& profile) const = 0;
  // "linux/amd64" …, where the model can run.
  [[nodiscard]] virtual std::vector<std::string_view> platforms(
      const model::ModelProfile& /*profile*/) const {
    return descriptor().platforms;
  }
  // Context per request and slots, from the user's wish, the model and whether devices are used.
  // Fails with invalid_parameter on a wish that can not be met.
  [[nodiscard]] virtual Result<model::Serving> serving(const model::ModelProfile& profile,
                                                       const ParsedParameters& parameters,
                                                       bool has_devices) const = 0;
  // Tokens that the engine is told to keep room for, all slots together.
  [[nodiscard]] virtual std::uint64_t engine_context(const model::Serving& serving) const {
    return std::uint64_t{serving.context} * serving.slots;
  }
  // What an instance may take of a device's memory.
  [[nodiscard]] virtual Bytes usable(const ParsedParameters& /*parameters*/, Bytes memory) const {
    return memory;
  }
  // Whether an instance takes all that is usable of a device, whatever it needs.
  [[nodiscard]] virtual bool fills_devices(const model::ModelProfile& /*profile*/,
                                           const ParsedParameters& /*parameters*/) const {
    return false;
  }
  // How many tokens all requests together may hold on devices of which each gives `usable`, where
  // they share one cache; 0 where each has its own.
  [[nodiscard]] virtual std::uint64_t cached_tokens(const model::ModelProfile& /*profile*/,
                                                    const ParsedParameters& /*parameters*/,
                                                    const model::Claim& /*claim*/,
                                                    Bytes /*usable*/) const {
    return 0;
  }
  // The layers and proportions that the user's flags ask for.
  [[nodiscard]] virtual DeviceWish device_wish(const ParsedParameters& parameters) const = 0;
  // Checks that need both flags and model, beyond those of parse_parameters. The result is
  // warnings; fails with invalid_parameter.
  [[nodiscard]] virtual Result<std::vector<std::string>> check(
      const model::ModelProfile& profile, const ParsedParameters& parameters) const = 0;
  // Of the projectors that lie with a model, the one that its engine gets; null: none. Fails as
  // `check`.
  [[nodiscard]] virtual Result<const model::Projector*> projector(
      const model::ModelProfile& /*profile*/, const ParsedParameters& /*parameters*/) const {
    return nullptr;
  }
  // The layers that devices can take, the output layer included.
  [[nodiscard]] virtual std::uint32_t layers(const model::ModelProfile& profile) const {
    return profile.layer_count + 1;
  }
  [[nodiscard]] virtual Result<model::Claim> estimate(const EstimateRequest& request) const = 0;
  // The layouts whose buffers stand for those of all others, for a worker with or without devices
  // ("device:0" …). None where the engine can not be asked, or the flags can not be met.
  [[nodiscard]] virtual std::vector<LayoutQuestion> layout_questions(
      const model::ModelProfile& /*profile*/, const ParsedParameters& /*parameters*/,
      bool /*has_devices*/) const {
    return {};
  }
  // The figures that an answer gives.
  [[nodiscard]] virtual std::vector<model::ComputeFigure> compute_figures(
      const model::ModelProfile& /*profile*/, const LayoutQuestion& /*question*/,
      const LayoutAnswer& /*answer*/) const {
    return {};
  }
  [[nodiscard]] virtual Result<model::LaunchPlan> launch(const LaunchContext& context) const = 0;
  // What a device of a subordinate worker takes of that worker's main memory, where layers are over
  // several.
  [[nodiscard]] virtual Bytes subordinate_host(const model::ModelProfile& /*profile*/) const {
    return {};
  }
  // The processes of an instance, the main one first. One alone is no gang.
  [[nodiscard]] virtual std::vector<GangRole> roles(const model::Deployment& /*deployment*/,
                                                    const model::Placement& placement) const {
    return {{.role = "main", .worker = placement.worker, .after = {}}};
  }
  // How many ports a process of that role needs; its first one is where it is probed.
  [[nodiscard]] virtual std::size_t ports(std::string_view /*role*/) const { return 1; }
};

// The backends that this program knows, in the order in which they are tried. A value of pointers
// to objects that live as long as the program.
class Registry {
 public:
  explicit Registry(std::vector<const Backend*> backends) : backends_(std::move(backends)) {}
  [[nodiscard]] const Backend* find(std::string_view name) const;
  [[nodiscard]] std::span<const Backend* const> all() const { return backends_; }

 private:
  std::vector<const Backend*> backends_;
};

// Every backend of this program.
const Registry& builtin_backends();

// Which backend serves a model, and the sentence that says why.
struct BackendChoice {
  const Backend* backend = nullptr;
  std::string reason;
  std::vector<std::string> others;  // why it is none of these: "vox-box serves speech models only"
};

// The backend that the user names, else the first that matches and need not be named. Fails with
// unsupported, listing what each backend lacks, or invalid_parameter (field "backend") for an
// unknown name.
Result<BackendChoice> choose_backend(const Registry& registry, const model::ModelProfile& profile,
                                     const std::optional<std::string>& wish);

}  // namespace berth::backends
