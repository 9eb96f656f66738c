// berth inspect: what a model is, what it needs, and which backend would serve it. A worker reads
// the files where a server answers (the server, what is at a web address), else this program does.
#include "api_client.h"
#include "command.h"
#include "profile_here.h"
#include "server/inspection.h"
#include "sources/address.h"
#include "terminal.h"
#include "worker/system_facts.h"

#include <algorithm>
#include <cstdio>
#include <memory>

#include <fmt/format.h>

namespace berth::app {
namespace {

using server::Inspection;
using server::InspectRequest;

constexpr std::string_view kDevice = "device";
// Reading the header of a model on a slow disk, worker after worker.
constexpr std::chrono::minutes kPatience{5};

struct InspectFlags {
  std::string file;
  std::optional<std::string> backend;
  std::optional<std::string> worker;
  std::optional<std::uint32_t> context;
  std::optional<std::uint32_t> slots;
  std::vector<std::string> devices;  // "24GiB"
};

// An inspection, and where the files were read: "the worker a".
struct Told {
  Inspection found;
  std::string reader;
};

struct NeedRow {
  Cell where, total, weights, kv_cache, compute, runtime;
};
BOOST_DESCRIBE_STRUCT(NeedRow, (), (where, total, weights, kv_cache, compute, runtime))

Result<Inspection> inspect_here(InspectRequest request) {
  BERTH_TRY(auto model, profile_here(request.source));
  const auto facts = worker::read_system_facts();
  BERTH_TRY(Inspection found,
            server::inspect(request, std::move(model.profile),
                            {.cpu = facts.cpu, .cores = facts.cores, .memory = facts.memory},
                            backends::builtin_backends()));
  found.hub = std::move(model.choice);
  return found;
}

// Whether `error` says that no server could be asked, rather than what it thinks of the model.
bool is_about_the_server(const Error& error, const InspectRequest& request) {
  // What another machine on the web said to the server.
  if (sources::is_remote(request.source) && error.field == "source") return false;
  return error.code == ErrorCode::unauthenticated || error.code == ErrorCode::permission_denied ||
         error.code == ErrorCode::unavailable;
}

Result<Inspection> ask_server(const CommonOptions& common, const InspectRequest& request) {
  BERTH_TRY(const auto client, ApiClient::connect(common));
  BERTH_TRY(const auto answer, client.post("/api/v1/evaluate", to_json(request), kPatience));
  return read_answer<Inspection>(answer);
}

Result<Told> inspect(const CommonOptions& common, const InspectFlags& flags) {
  BERTH_TRY(auto source, whole_source(flags.file));
  InspectRequest request{.source = std::move(source),
                         .worker = flags.worker,
                         .backend = flags.backend,
                         .parameters = common.engine_flags,
                         .context = flags.context,
                         .slots = flags.slots};
  request.devices.reserve(flags.devices.size());
  for (const auto& device : flags.devices) {
    auto memory = parse_bytes(device);
    if (!memory) return fail(std::move(memory).error().context("--devices").with_field("devices"));
    request.devices.push_back(*memory);
  }
  BERTH_TRY(const bool is_named, names_a_server(common));
  auto told = ask_server(common, request);
  const bool must_be_told = is_named || flags.worker.has_value();
  if (told || must_be_told || !is_about_the_server(told.error(), request)) {
    BERTH_TRY(auto found, std::move(told));
    std::string reader = found.worker ? "the worker " + *found.worker : "the server's machine";
    return Told{.found = std::move(found), .reader = std::move(reader)};
  }
  BERTH_TRY(auto found, inspect_here(std::move(request)));
  return Told{.found = std::move(found), .reader = "this machine"};
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

std::string modalities_text(const std::vector<model::Modality>& modalities) {
  std::string text;
  for (const auto one : modalities) {
    text += (text.empty() ? "" : ", ") + std::string(enum_name(one));
  }
  return text;
}

std::string encoder_text(const model::Projector& projector) {
  std::string text = projector.vision && projector.audio ? "images and audio"
                     : projector.vision                  ? "images"
                                                         : "audio";
  const auto& encoder = projector.encoder;
  if (encoder.image_size != 0) {
    text += fmt::format(", {0}×{0} in patches of {1}×{1}", encoder.image_size, encoder.patch_size);
  }
  return fmt::format("{}, {}, to {} elements", text, counted(encoder.block_count, "block"),
                     projector.width);
}

// What a projector's or adapter's own file says.
void print_companion(const model::ModelProfile& profile) {
  for (const auto& projector : profile.projectors) {
    print_field("projector of", projector.family.empty() ? projector.type : projector.family);
    print_field("type", projector.type);
    print_field("takes", encoder_text(projector));
    print_field("precision", projector.precision);
    print_field("made for", fmt::format("{}", fmt::join(projector.base_names, ", ")));
  }
  if (!profile.adapter) return;
  const auto& adapter = *profile.adapter;
  print_field("adapter",
              fmt::format("{} of rank {}, alpha {}", adapter.type, adapter.rank, adapter.alpha));
  print_field("goes with", fmt::format("{} models", adapter.architecture));
  print_field("made for", fmt::format("{}", fmt::join(adapter.base_names, ", ")));
}

void print_projectors(const model::ModelProfile& profile) {
  for (const auto& projector : profile.projectors) {
    const auto what =
        fmt::format("{} ({}, {})", projector.path,
                    projector.precision.empty() ? "?" : projector.precision, projector.size);
    print_field(projector.chosen ? "projector" : "not taken",
                fmt::format("{}: {}", what, projector.reason));
  }
}

// Which files of a repository it is, and what else is there.
void print_choice(const sources::HubChoice& choice) {
  print_field("on the hub", choice.commit.empty()
                                ? choice.source
                                : fmt::format("{}, revision {}", choice.source, choice.commit));
  const std::string what =
      choice.quantisation.empty() ? counted(choice.files.size(), "file") : choice.quantisation;
  print_field("chosen", fmt::format("{} ({}): {}", what, choice.size, choice.reason));
  for (const auto& other : choice.alternatives) {
    const auto& name = other.quantisation.empty() ? other.files.front() : other.quantisation;
    print_field("also there", fmt::format("{} ({})", name, other.size));
  }
}

void print_profile(const Inspection& found, const std::string& reader) {
  const auto& profile = found.profile;
  if (found.hub) print_choice(*found.hub);
  print_field("name", profile.name);
  print_field("architecture", profile.architecture);
  const bool is_model = !found.backend.empty();
  if (is_model) print_field("for", std::string(enum_name(profile.category)));
  if (profile.parameters != 0) print_field("parameters", count_text(profile.parameters));
  print_field("quantisation", profile.quantization);
  print_field("takes in", modalities_text(profile.inputs));
  print_field("puts out", modalities_text(profile.outputs));
  if (!is_model) print_companion(profile);
  if (profile.layer_count != 0) print_field("layers", std::to_string(profile.layer_count));
  print_field("attention", attention_text(profile));
  if (profile.experts != 0) print_field("experts", std::to_string(profile.experts));
  if (profile.context_length != 0) {
    print_field("context", fmt::format("{} tokens", profile.context_length));
  }
  print_field("licence", profile.licence.empty() ? "not stated" : profile.licence);
  if (is_model) print_field("chat template", profile.has_chat_template ? "yes" : "no");
  for (const auto& file : profile.files) {
    print_field("file", fmt::format("{} ({})", file.path, file.size));
  }
  if (is_model) print_projectors(profile);
  print_field("read on", reader);
  print_field("backend", found.backend_reason);
  for (const auto& other : found.other_backends) print_field("not", other);
  print_field("runs on", fmt::format("{}", fmt::join(found.platforms, ", ")));
}

NeedRow need_row(std::string where, const model::DeviceClaim& claim) {
  return {.where = std::move(where),
          .total = to_string(claim.total()),
          .weights = to_string(claim.weights),
          .kv_cache = to_string(claim.kv_cache),
          .compute = to_string(claim.compute),
          .runtime = to_string(claim.runtime)};
}

// Where the figures come from.
std::string method_text(const std::vector<server::Way>& ways) {
  const bool judged = std::ranges::all_of(
      ways, [](const server::Way& way) { return way.claim.method == model::ClaimMethod::judged; });
  return judged ? "The compute buffers are judged: the engine's own allocator measured them."
                : "The compute buffers are computed: upper bounds.";
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
  fmt::print("{}\n\n", method_text(found.ways));
  for (const auto& way : found.ways) {
    if (way.serving.context == 0) continue;  // of no meaning to a speech model
    if (found.shares_cache && way.cached_tokens >= 2ULL * way.serving.context) {
      fmt::print("That has room for {} tokens of all requests together, each of up to {}.\n",
                 way.cached_tokens, way.serving.context);
      break;
    }
    if (found.shares_cache) {
      fmt::print(
          "That has room for one request of up to {} tokens; what there is beyond it serves more "
          "at a time.\n",
          way.serving.context);
      break;
    }
    fmt::print(
        "{} it serves {} at a time, each of up to {} tokens; the engine keeps room for {}.\n",
        way.on == kDevice ? "On devices" : "On the CPU", counted(way.serving.slots, "request"),
        way.serving.context, way.engine_context);
  }
  const auto& machine = found.machine;
  if (machine.memory.count != 0) {
    fmt::print("{} has {} of memory and {}: {} on its CPU.\n",
               found.worker ? "The worker " + *found.worker : "This machine", machine.memory,
               counted(machine.cores, "core"),
               on_cpu <= machine.memory ? "it can run there" : "too little to run it");
  }
}

void print_fit(const server::DeviceFit& fit) {
  std::vector<std::string> sizes;
  sizes.reserve(fit.devices.size());
  for (const auto size : fit.devices) sizes.push_back(to_string(size));
  fmt::print("\nOn {}: ", fmt::join(sizes, ", "));
  const auto& layers = fit.claim.layers;
  if (fit.kind == server::FitKind::whole) {
    fmt::print("it fits whole");
  } else if (fit.kind == server::FitKind::partly && layers) {
    fmt::print("{} of {} layers fit, the CPU computes the rest", layers->on_devices, layers->total);
  } else {
    fmt::print("it does not fit");
  }
  fmt::print("\n");
  std::vector<NeedRow> rows;
  rows.reserve(fit.claim.devices.size());
  for (const auto& claim : fit.claim.devices) rows.push_back(need_row(claim.device, claim));
  if (!rows.empty()) print_table(rows);
  for (const auto& reason : fit.reasons) fmt::print("{}\n", printable(reason));
  if (fit.longest_context != 0) {
    fmt::print("The longest context with all of it on the devices: {} tokens.\n",
               fit.longest_context);
  }
  if (fit.cached_tokens != 0) {
    fmt::print("All requests together may hold {} tokens there.\n", fit.cached_tokens);
  }
}

int run(const CommonOptions& common, const InspectFlags& flags) {
  const auto told = inspect(common, flags);
  if (!told) return report(told.error());
  const Inspection& found = told->found;
  if (common.json) {
    print_json(to_json(found));
    return kDone;
  }
  print_profile(found, told->reader);
  if (!found.ways.empty()) print_needs(found);
  if (found.fit) print_fit(*found.fit);
  for (const auto& warning : found.warnings) {
    fmt::print(stderr, "berth: warning: {}\n", printable(warning));
  }
  return kDone;
}

}  // namespace

void add_inspect(CLI::App& app, const CommonOptions& common, Command& command) {
  auto* inspect =
      app.add_subcommand("inspect", "Say what a model is, what it needs, and which backend fits");
  auto flags = std::make_shared<InspectFlags>();
  inspect
      ->add_option(
          "FILE", flags->file,
          "The model's file or folder (or a glob such as \"./m/*.gguf\"), its name on a hub "
          "(hf:ORG/NAME:QUANT, ms:OWNER/NAME, ollama:NAME:TAG), or the http(s) address of a GGUF "
          "file")
      ->required();
  inspect->add_option("--backend", flags->backend, "Ask for this backend");
  inspect->add_option("--worker", flags->worker, "Let this worker read it (the first that can)");
  inspect->add_option("--ctx-size", flags->context, "Tokens of the longest request");
  inspect->add_option("--parallel", flags->slots, "Requests at the same time");
  inspect->add_option("--devices", flags->devices, "Memory of the devices to fit: 24GiB,24GiB")
      ->delimiter(',');
  inspect->footer(
      "Where a server runs, a worker reads the files, and the server what is on the web; else "
      "they\n"
      "are read on this machine. Of what is on the web, only headers are fetched, by the server\n"
      "and by the worker whose engine measures buffers, or by this program; each takes HF_TOKEN,\n"
      "HF_ENDPOINT and HF_HUB_OFFLINE from its own environment.\n"
      "Example: berth inspect ./model.gguf --ctx-size 16384 --devices 24GiB -- --cache-type-k "
      "q8_0");
  inspect->callback(
      [&common, &command, flags] { command = [&common, flags] { return run(common, *flags); }; });
}

}  // namespace berth::app
