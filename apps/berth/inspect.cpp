// berth inspect: what a model is, what it needs, and which backend would serve it. Needs no server.
#include "backends/check.h"
#include "command.h"
#include "estimate/gguf.h"
#include "formats/profile.h"
#include "sources/local.h"
#include "terminal.h"
#include "worker/system_facts.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <memory>

#include <fmt/format.h>

namespace berth::app {
namespace {

constexpr std::string_view kDevice = "device";

// One way to run the model, and what it takes.
struct Way {
  std::string on;  // "cpu" or "device"
  model::Serving serving;
  std::uint64_t engine_context = 0;  // tokens of all slots, as the engine gets them
  model::Claim claim;
};
BOOST_DESCRIBE_STRUCT(Way, (), (on, serving, engine_context, claim))

struct Machine {
  std::string cpu;
  std::uint32_t cores = 0;
  Bytes memory;
};
BOOST_DESCRIBE_STRUCT(Machine, (), (cpu, cores, memory))

struct Inspection {
  std::string path;
  model::ModelProfile profile;
  std::string backend;
  std::string backend_reason;
  std::vector<std::string> warnings;
  Machine machine;
  std::vector<Way> ways;
};
BOOST_DESCRIBE_STRUCT(Inspection, (),
                      (path, profile, backend, backend_reason, warnings, machine, ways))

struct NeedRow {
  Cell where, total, weights, kv_cache, compute, runtime;
};
BOOST_DESCRIBE_STRUCT(NeedRow, (), (where, total, weights, kv_cache, compute, runtime))

Result<std::filesystem::path> absolute_path(const std::string& text) {
  std::error_code error;
  const auto here = std::filesystem::current_path(error);
  if (error) return fail(ErrorCode::io, "the current folder is unknown: {}", error.message());
  return sources::normalise_source(text, here);
}

Result<Way> find_way(const backends::Backend& backend, const model::ModelProfile& profile,
                     const backends::ParsedParameters& parameters, bool on_device,
                     std::uint32_t cores) {
  Way way{.on = on_device ? std::string(kDevice) : "cpu"};
  BERTH_TRY(way.serving, backend.serving(profile, parameters, on_device));
  backends::EstimateRequest request{.profile = profile,
                                    .parameters = parameters,
                                    .serving = way.serving,
                                    .devices = {},
                                    .cores = cores};
  if (on_device) {
    const std::uint32_t all = backend.layers(profile);
    const auto layers = std::min(backend.device_wish(parameters).layers.value_or(all), all);
    request.devices.push_back({std::string(kDevice), layers});
  }
  BERTH_TRY(way.claim, backend.estimate(request));
  way.engine_context =
      std::uint64_t{estimate::padded_context(way.serving.context)} * way.serving.slots;
  return way;
}

Result<Inspection> inspect(const std::string& source, const std::optional<std::string>& wish,
                           const std::vector<std::string>& flags) {
  Inspection found;
  BERTH_TRY(const auto path, absolute_path(source));
  found.path = path.string();
  BERTH_TRY(found.profile, formats::profile_path(path));
  const auto facts = worker::read_system_facts();
  found.machine = {.cpu = facts.cpu, .cores = facts.cores, .memory = facts.memory};
  BERTH_TRY(const auto choice,
            backends::choose_backend(backends::builtin_backends(), found.profile, wish));
  found.backend = std::string(choice.backend->descriptor().name);
  found.backend_reason = choice.reason;
  const model::Deployment deployment{
      .name = "inspected", .source = found.path, .parameters = flags};
  BERTH_TRY(auto checked, backends::check_deployment(*choice.backend, deployment, found.profile));
  found.warnings = std::move(checked.warnings);
  const bool device_wanted =
      choice.backend->device_wish(checked.parameters).layers.value_or(1) != 0;
  for (const bool on_device : {false, true}) {
    if (on_device && !device_wanted) continue;
    BERTH_TRY(auto way,
              find_way(*choice.backend, found.profile, checked.parameters, on_device, facts.cores));
    found.ways.push_back(std::move(way));
  }
  return found;
}

std::string count_text(std::uint64_t parameters) {
  const auto count = static_cast<double>(parameters);
  if (parameters >= 1'000'000'000) return fmt::format("{:.1f} billion", count / 1e9);
  if (parameters >= 1'000'000) return fmt::format("{:.0f} million", count / 1e6);
  return std::to_string(parameters);
}

void print_field(std::string_view name, const std::string& value) {
  if (!value.empty()) fmt::print("{:<14}{}\n", name, printable(value));
}

std::string attention_text(const model::ModelProfile& profile) {
  const auto& attention = profile.attention;
  if (attention.heads == 0) return "";
  std::string text = counted(attention.heads, "head");
  if (!attention.kv_heads.empty()) {
    const auto [least, most] =
        std::minmax_element(attention.kv_heads.begin(), attention.kv_heads.end());
    text += *least == *most ? fmt::format(", {} for keys and values", *most)
                            : fmt::format(", {} to {} for keys and values", *least, *most);
  }
  if (attention.sliding_window != 0) {
    text += fmt::format(", window of {} tokens", attention.sliding_window);
  }
  return text;
}

void print_profile(const Inspection& found) {
  const auto& profile = found.profile;
  print_field("name", profile.name);
  print_field("architecture", profile.architecture);
  print_field("for", std::string(enum_name(profile.category)));
  print_field("parameters", count_text(profile.parameters));
  print_field("quantisation", profile.quantization);
  print_field("layers", std::to_string(profile.layer_count));
  print_field("attention", attention_text(profile));
  if (profile.experts != 0) print_field("experts", std::to_string(profile.experts));
  print_field("context", profile.context_length == 0
                             ? "unknown"
                             : fmt::format("{} tokens", profile.context_length));
  print_field("licence", profile.licence.empty() ? "not stated" : profile.licence);
  print_field("chat template", profile.has_chat_template ? "yes" : "no");
  for (const auto& file : profile.files) {
    print_field("file", fmt::format("{} ({})", file.path, file.size));
  }
  print_field("backend", found.backend_reason);
}

NeedRow need_row(std::string where, const model::DeviceClaim& claim) {
  return {.where = std::move(where),
          .total = to_string(claim.total()),
          .weights = to_string(claim.weights),
          .kv_cache = to_string(claim.kv_cache),
          .compute = to_string(claim.compute),
          .runtime = to_string(claim.runtime)};
}

void print_needs(const Inspection& found) {
  std::vector<NeedRow> rows;
  Bytes on_cpu;
  for (const auto& way : found.ways) {
    const bool by_cpu = way.on != kDevice;
    for (const auto& claim : way.claim.devices) {
      const bool host = claim.device == "cpu";
      if (by_cpu && host) on_cpu = claim.total();
      rows.push_back(need_row(by_cpu ? "on the CPU alone"
                              : host ? "  beside it, in main memory"
                                     : "on one device",
                              claim));
    }
  }
  fmt::print("\nMemory that it needs\n");
  print_table(rows);
  fmt::print("\n");
  for (const auto& way : found.ways) {
    fmt::print(
        "{} it serves {} at a time, each of up to {} tokens; the engine gets --ctx-size "
        "{}.\n",
        way.on == kDevice ? "On devices" : "On the CPU", counted(way.serving.slots, "request"),
        way.serving.context, way.engine_context);
  }
  const auto& machine = found.machine;
  if (machine.memory.count != 0) {
    fmt::print("This machine has {} of memory and {}: {} on its CPU.\n", machine.memory,
               counted(machine.cores, "core"),
               on_cpu <= machine.memory ? "it can run there" : "too little to run it");
  }
}

int run(const CommonOptions& common, const std::string& source,
        const std::optional<std::string>& backend) {
  const auto found = inspect(source, backend, common.engine_flags);
  if (!found) return report(found.error());
  if (common.json) {
    print_json(to_json(*found));
    return kDone;
  }
  print_profile(*found);
  print_needs(*found);
  for (const auto& warning : found->warnings) {
    fmt::print(stderr, "berth: warning: {}\n", printable(warning));
  }
  return kDone;
}

}  // namespace

void add_inspect(CLI::App& app, const CommonOptions& common, Command& command) {
  auto* inspect =
      app.add_subcommand("inspect", "Say what a model is, what it needs, and which backend fits");
  struct Flags {
    std::string file;
    std::optional<std::string> backend;
  };
  auto flags = std::make_shared<Flags>();
  inspect->add_option("FILE", flags->file, "The model's file or folder")->required();
  inspect->add_option("--backend", flags->backend, "Ask for this backend");
  inspect->footer("Example: berth inspect ./model.gguf -- --ctx-size 16384");
  inspect->callback([&common, &command, flags] {
    command = [&common, flags] { return run(common, flags->file, flags->backend); };
  });
}

}  // namespace berth::app
