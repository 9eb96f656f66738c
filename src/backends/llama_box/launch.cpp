#include "backends/check.h"
#include "backends/environment.h"
#include "backends/llama_box/llama_box.h"
#include "backends/llama_box/projector.h"
#include "backends/llama_box/rpc.h"
#include "backends/llama_box/visible_devices.h"
#include "backends/values.h"
#include "base/json.h"

#include <algorithm>
#include <filesystem>
#include <set>

namespace berth::backends::llama_box {
namespace {

using Notes = std::vector<std::string>;

// Flags that Berth computes with; the user's wish is in what we pass, or passed by us.
constexpr std::string_view kComputed[] = {"--ctx-size",     "--parallel",  "--gpu-layers",
                                          "--tensor-split", "--threads",   "--batch-size",
                                          "--ubatch-size",  "--cache-ram", "--ctx-checkpoints",
                                          "--threads-http", "--mmproj"};

// The engine holds a thread for each request, waiting ones included; without a free one its probes
// wait too, and it seems to hang. As many as the gateway lets wait, and some for probes.
constexpr std::uint64_t kHttpThreads = 144;

// It ends by itself within tenths of a second, requests under way or not.
constexpr std::chrono::seconds kStopGrace{2};

// Builds argv and remembers which flags of ours the pack lacks.
class Arguments {
 public:
  explicit Arguments(const LaunchContext& context) : pack_(context.pack) {}

  void add(std::string_view flag, std::optional<std::string> value = std::nullopt) {
    if (!has_flag(pack_, flag)) missing_.emplace_back(flag);
    argv.emplace_back(flag);
    if (value) argv.push_back(std::move(*value));
  }
  void add_number(std::string_view flag, std::uint64_t value) { add(flag, std::to_string(value)); }
  // Only where the pack has the flag; what it does is good to have.
  bool add_if_known(std::string_view flag, std::uint64_t value) {
    if (!has_flag(pack_, flag)) return false;
    add_number(flag, value);
    return true;
  }

  [[nodiscard]] Result<void> check() const {
    if (missing_.empty()) return {};
    return fail(ErrorCode::unsupported, "engine pack {} does not have {}", pack_.name,
                fmt::join(missing_, ", "));
  }

  std::vector<std::string> argv;

 private:
  const model::EnginePack& pack_;
  std::vector<std::string> missing_;
};

std::filesystem::path model_file(const LaunchContext& context) {
  const std::filesystem::path source(context.deployment.source);
  if (context.profile.files.empty()) return source;
  const std::filesystem::path file(context.profile.files.front().path);
  if (file.is_absolute()) return file;
  return source.filename() == file.filename() ? source : source / file;
}

// Relative paths, also of a list, are meant from the model's folder.
std::string resolve_paths(const std::string& value, const std::filesystem::path& folder) {
  std::string out;
  std::size_t start = 0;
  while (start <= value.size()) {
    const auto end = std::min(value.find(',', start), value.size());
    const std::filesystem::path path(value.substr(start, end - start));
    if (start != 0) out += ',';
    out += path.is_absolute() || path.empty() ? path.string()
                                              : (folder / path).lexically_normal().string();
    start = end + 1;
  }
  return out;
}

// "asked --threads 8; in force …" where the user's number is not what the engine gets.
void note_number(Notes& notes, const ParsedParameters& parameters, std::string_view flag,
                 std::uint64_t in_force, std::string_view why) {
  const auto* given = parameters.find(flag);
  if (given == nullptr || given->value == std::to_string(in_force)) return;
  notes.push_back(fmt::format("asked {} {}; in force {} {}: {}", flag, given->value.value_or(""),
                              flag, in_force, why));
}

void add_context(Arguments& arguments, const LaunchContext& context,
                 const ParsedParameters& parameters, Notes& notes) {
  const auto& serving = context.serving;
  const std::uint64_t slot = estimate::padded_context(serving.context);
  const auto total = slot * serving.slots;
  arguments.add_number("--ctx-size", total);
  arguments.add_number("--parallel", serving.slots);
  arguments.add("--no-kv-unified");
  arguments.add("--fit", "off");
  note_number(notes, parameters, "--ctx-size", total,
              fmt::format("{} {} of {} tokens", serving.slots,
                          serving.slots == 1 ? "slot" : "slots", slot));

  // The engine caps a slot at the trained context; rope scaling goes beyond it only where the
  // file's figure is replaced.
  const auto trained = context.profile.context_length;
  if (trained == 0 || serving.context <= trained) return;
  if (parameters.find("--override-kv") == nullptr) {
    arguments.add("--override-kv",
                  fmt::format("{}.context_length=int:{}", context.profile.architecture, slot));
  }
  if (parameters.find("--yarn-orig-ctx") == nullptr) {
    arguments.add_number("--yarn-orig-ctx", trained);
  }
}

void add_compute(Arguments& arguments, const LaunchContext& context,
                 const ParsedParameters& parameters, Notes& notes) {
  const auto& layers = context.placement.claim.layers;
  const std::uint32_t on_devices = layers ? layers->on_devices : 0;
  const auto cores = context.worker.system.cores;
  const auto settings =
      settings_of(context.profile, parameters, context.serving, on_devices != 0, cores);
  arguments.add_number("--batch-size", settings.batch);
  arguments.add_number("--ubatch-size", settings.ubatch);
  note_number(notes, parameters, "--ubatch-size", settings.ubatch, "no more than --batch-size");
  const auto threads = number_of(parameters, "--threads").value_or(cores);
  if (threads != 0) arguments.add_number("--threads", threads);
  arguments.add_number("--gpu-layers", on_devices);
  note_number(notes, parameters, "--gpu-layers", on_devices, "what the placement has");
  if (layers && layers->per_device.size() > 1) {
    arguments.add("--tensor-split", fmt::format("{}", fmt::join(layers->per_device, ",")));
  }
  if (!arguments.add_if_known("--cache-ram", settings.cache_ram)) {
    notes.push_back("the engine pack does not let Berth bound its prompt cache");
  }
  if (settings.checkpoints != 0 || parameters.find("--ctx-checkpoints") != nullptr) {
    arguments.add_if_known("--ctx-checkpoints", settings.checkpoints);
  }
}

// False: the pack does not have the flag.
bool add_http(Arguments& arguments, const LaunchContext& context,
              const ParsedParameters& parameters, Notes& notes) {
  const std::uint64_t needed = context.serving.slots + kHttpThreads;
  const auto threads =
      std::max<std::uint64_t>(number_of(parameters, "--threads-http").value_or(0), needed);
  if (!arguments.add_if_known("--threads-http", threads)) {
    notes.push_back(
        "the engine pack does not let Berth choose its HTTP threads, so nobody looks "
        "whether it hangs");
    return false;
  }
  note_number(notes, parameters, "--threads-http", threads,
              "a thread for each request that may wait");
  return true;
}

// One token of a text takes a slot, and with it the prompt that the slot remembers for its user.
// Its figures come from the loop that computes, so there is no haste.
constexpr std::chrono::minutes kPromptIsCold{30};

// The smallest request of the model's kind.
model::LivenessRequest trial_of(const LaunchContext& context) {
  json::object body{{"model", context.deployment.name}};
  switch (context.profile.category) {
    case model::Category::llm:
      body["prompt"] = "1";
      body["max_tokens"] = 1;
      return {.path = "/v1/completions", .body = to_text(body), .idle_before = kPromptIsCold};
    case model::Category::embedding:
      body["input"] = "1";
      return {.path = "/v1/embeddings", .body = to_text(body)};
    case model::Category::reranker:
      body["query"] = "1";
      body["documents"] = json::array{"1"};
      return {.path = "/v1/rerank", .body = to_text(body)};
    default:
      return {};
  }
}

// By its figures, which its main loop tells. An engine that may fall asleep would be woken by that.
model::LivenessProbe liveness_of(const LaunchContext& context, const ParsedParameters& parameters,
                                 std::uint16_t port) {
  if (parameters.find("--sleep-idle-seconds") != nullptr) return {};
  return {.path = "/metrics",
          .port = port,
          .needs_key = true,
          .load = {"llamacpp:requests_processing", "llamacpp:requests_deferred"},
          .progress = {"llamacpp:n_decode_total"},
          .request = trial_of(context)};
}

void add_kind(Arguments& arguments, const LaunchContext& context,
              const ParsedParameters& parameters) {
  if (context.profile.category == model::Category::embedding) {
    arguments.add("--embeddings");
    const auto& pooling = context.profile.pooling;
    if (parameters.find("--pooling") == nullptr && (pooling.empty() || pooling == "none")) {
      arguments.add("--pooling", "mean");
    }
  }
  if (context.profile.category == model::Category::reranker) arguments.add("--reranking");
}

// The images of some projectors would take memory without end: they are made smaller.
// `folder` is the model's.
void add_projector(Arguments& arguments, const model::Projector& projector,
                   const model::ModelProfile& profile, const ParsedParameters& parameters,
                   const std::filesystem::path& folder, Notes& notes) {
  const std::filesystem::path path(projector.path);
  const auto own = std::filesystem::path(profile.files.front().path).parent_path();
  const auto place = path.is_absolute() ? path : folder / path.lexically_relative(own);
  arguments.add("--mmproj", place.lexically_normal().string());
  if (parameters.find("--mmproj") == nullptr) {
    notes.push_back(fmt::format("the projector {} is in force: {}", path.filename().string(),
                                projector.reason));
  }
  if (projector.encoder.most_tokens > estimate::kMostImageTokens &&
      parameters.find("--image-max-tokens") == nullptr) {
    arguments.add_if_known("--image-max-tokens", estimate::kMostImageTokens);
  }
}

void add_users(Arguments& arguments, const BackendDescriptor& descriptor,
               const ParsedParameters& parameters, const std::filesystem::path& folder) {
  for (const auto& given : parameters.given) {
    const auto* computed = std::find(std::begin(kComputed), std::end(kComputed), given.flag);
    if (computed != std::end(kComputed) || !given.passed) continue;
    auto value = given.value;
    for (const auto& parameter : descriptor.parameters) {
      if (value && parameter.flag == given.flag && parameter.type == ParameterType::path) {
        value = resolve_paths(*value, folder);
      }
    }
    arguments.add(given.flag, std::move(value));
  }
}

// Two minutes and another one for each GiB: a slow disk reads 17 MiB/s.
std::chrono::milliseconds readiness_deadline(Bytes size) {
  constexpr std::uint64_t kMostMinutes = 360;
  const auto minutes = std::min(2 + (size.count >> 30) + 1, kMostMinutes);
  return std::chrono::minutes(minutes);
}

}  // namespace

Result<model::LaunchPlan> LlamaBox::launch(const LaunchContext& context) const {
  if (context.member != 0) return rpc_launch(context);
  const auto tunnels = context.gang == nullptr ? 0 : tunnelled_members(*context.gang).size();
  if (context.ports.size() != ports("main") + tunnels) {
    return fail(ErrorCode::internal, "{} ports leased for {}, which needs {}", context.ports.size(),
                context.instance, ports("main") + tunnels);
  }
  BERTH_TRY(const auto parameters, parse_parameters(descriptor(), context.deployment.parameters));
  model::LaunchPlan plan;
  const auto port = context.ports.front();
  const auto file = model_file(context);

  Arguments arguments(context);
  BERTH_TRY(arguments.argv, program_of(context));
  arguments.add("--model", file.string());
  arguments.add("--alias", context.deployment.name);
  arguments.add("--host", "127.0.0.1");
  arguments.add_number("--port", port);
  arguments.add("--metrics");
  if (add_http(arguments, context, parameters, plan.notes)) {
    plan.liveness = liveness_of(context, parameters, port);
  }
  add_context(arguments, context, parameters, plan.notes);
  add_compute(arguments, context, parameters, plan.notes);
  if (context.gang != nullptr) {
    arguments.add("--rpc", fmt::format("{}", fmt::join(rpc_servers(context), ",")));
  }
  add_kind(arguments, context, parameters);
  BERTH_TRY(const auto* projector, projector_of(context.profile, parameters));
  if (projector != nullptr) {
    add_projector(arguments, *projector, context.profile, parameters, file.parent_path(),
                  plan.notes);
  }
  add_users(arguments, descriptor(), parameters, file.parent_path());
  BERTH_CHECK(arguments.check());
  plan.argv = std::move(arguments.argv);

  auto forced = device_variables(context.worker, context.placement.claim.devices);
  forced.push_back({.name = "LLAMA_API_KEY",
                    .value = context.engine_key,
                    .owner = model::Owner::berth,
                    .secret = true});
  BERTH_TRY(plan.env, build_environment(descriptor(), context, forced, plan.notes));
  for (const auto& warning : parameters.warnings) plan.notes.push_back(warning);
  plan.working_directory = context.folder;
  plan.ports = context.ports;
  plan.probe.port = port;
  plan.stop_grace = kStopGrace;
  plan.readiness_deadline = readiness_deadline(context.profile.total_size +
                                               (projector == nullptr ? Bytes{} : projector->size));
  return plan;
}

}  // namespace berth::backends::llama_box
