// berth ps, models, workers, events: what is there, as tables or as the API's JSON.
#include "api_client.h"
#include "api_views.h"
#include "command.h"
#include "terminal.h"

#include <cstdio>
#include <memory>

#include <fmt/format.h>

namespace berth::app {
namespace {

using model::InstanceState;

struct InstanceRow {
  Cell instance, model, state, worker, port, memory, age, reason;
};
BOOST_DESCRIBE_STRUCT(InstanceRow, (), (instance, model, state, worker, port, memory, age, reason))

struct ModelRow {
  Cell model, state, ready, backend, quantisation, size, source, reason;
};
BOOST_DESCRIBE_STRUCT(ModelRow, (),
                      (model, state, ready, backend, quantisation, size, source, reason))

struct WorkerRow {
  Cell worker, state, version, system, cores, memory, used, devices, reason;
};
BOOST_DESCRIBE_STRUCT(WorkerRow, (),
                      (worker, state, version, system, cores, memory, used, devices, reason))

struct EventView {
  std::string time, level, kind, name, reason, message;
};
BOOST_DESCRIBE_STRUCT(EventView, (), (time, level, kind, name, reason, message))

struct EventRow {
  Cell time, level, about, reason, message;
};
BOOST_DESCRIBE_STRUCT(EventRow, (), (time, level, about, reason, message))

Style style_of(InstanceState state) {
  switch (state) {
    case InstanceState::ready:
      return Style::good;
    case InstanceState::failed:
    case InstanceState::unreachable:
      return Style::bad;
    default:
      return Style::busy;
  }
}

Style style_of_model(std::string_view state) {
  if (state == "ready") return Style::good;
  return state == "stopped" ? Style::faint : Style::busy;
}

std::string memory_of(const InstanceView& instance) {
  if (instance.resident) return to_string(*instance.resident);
  if (!instance.placement) return "";
  Bytes claimed;
  for (const auto& claim : instance.placement->claim.devices) claimed += claim.total();
  return to_string(claimed) + " claimed";
}

InstanceRow row_of(const InstanceView& instance, SystemTime now) {
  std::string state(enum_name(instance.state));
  if (instance.progress) state += fmt::format(" {:.0f}%", *instance.progress * 100);
  return {.instance = instance.name,
          .model = instance.model,
          .state = {state, style_of(instance.state)},
          .worker = instance.placement
                        ? fmt::format("{}", fmt::join(instance.placement->workers(), ", "))
                        : "",
          .port = instance.port == 0 ? "" : std::to_string(instance.port),
          .memory = memory_of(instance),
          .age = age_of(instance.created_at, now),
          .reason = instance.state == InstanceState::ready ? "" : instance.reason};
}

Result<void> print_instances(const json::value& answer) {
  BERTH_TRY(const auto instances, read_items<InstanceView>(answer));
  if (instances.empty()) {
    fmt::print("Nothing runs. Begin with: berth run ./model.gguf \"Once upon a time\"\n");
    return {};
  }
  const auto now = real_clock().system_now();
  std::vector<InstanceRow> rows;
  rows.reserve(instances.size());
  for (const auto& instance : instances) rows.push_back(row_of(instance, now));
  print_table(rows);
  return {};
}

Result<void> print_models(const json::value& answer) {
  BERTH_TRY(const auto models, read_items<ModelView>(answer));
  if (models.empty()) {
    fmt::print("No model is deployed. Begin with: berth run ./model.gguf \"Once upon a time\"\n");
    return {};
  }
  std::vector<ModelRow> rows;
  rows.reserve(models.size());
  for (const auto& model : models) {
    rows.push_back({.model = model.name,
                    .state = {model.state, style_of_model(model.state)},
                    .ready = fmt::format("{}/{}", model.ready, model.replicas),
                    .backend = model.backend,
                    .quantisation = model.profile.quantization,
                    .size = to_string(model.profile.total_size),
                    .source = model.deployment.source,
                    .reason = model.reason});
  }
  print_table(rows);
  return {};
}

Style style_of(const model::Worker& worker) {
  if (worker.state != model::WorkerState::ready) return Style::bad;
  return worker.scheduling == model::Scheduling::open ? Style::good : Style::busy;
}

WorkerRow row_of(const model::Worker& worker) {
  std::vector<std::string> devices;
  Bytes used;
  for (const auto& device : worker.devices) {
    if (device.id == "cpu")
      used = device.used;
    else
      devices.push_back(
          fmt::format("{} {} ({} of {} used)", device.id, device.name, device.used, device.memory));
  }
  const auto& system = worker.system;
  std::string state(enum_name(worker.state));
  if (worker.scheduling != model::Scheduling::open) {
    state += fmt::format(", {}", enum_name(worker.scheduling));
  }
  return {.worker = worker.name,
          .state = {std::move(state), style_of(worker)},
          .version = worker.version,
          .system = fmt::format("{}/{}", system.os, system.arch),
          .cores = std::to_string(system.cores),
          .memory = to_string(system.memory),
          .used = to_string(used),
          .devices = devices.empty() ? "CPU only" : fmt::format("{}", fmt::join(devices, ", ")),
          .reason = worker.reason};
}

Result<void> print_workers(const json::value& answer) {
  BERTH_TRY(const auto workers, read_items<model::Worker>(answer));
  if (workers.empty()) {
    fmt::print("No worker has joined.\n");
    return {};
  }
  std::vector<WorkerRow> rows;
  rows.reserve(workers.size());
  for (const auto& worker : workers) rows.push_back(row_of(worker));
  print_table(rows);
  for (const auto& worker : workers) {
    for (const auto& warning : worker.warnings) {
      fmt::print(stderr, "berth: warning: {}: {}\n", worker.name, printable(warning));
    }
  }
  return {};
}

Result<void> print_events(const json::value& answer) {
  BERTH_TRY(const auto events, read_items<EventView>(answer));
  std::vector<EventRow> rows;
  rows.reserve(events.size());
  // The API gives the newest first; on a terminal they belong at the bottom.
  for (auto event = events.rbegin(); event != events.rend(); ++event) {
    const auto style = event->level == "error"     ? Style::bad
                       : event->level == "warning" ? Style::busy
                                                   : Style::plain;
    rows.push_back({.time = event->time,
                    .level = {event->level, style},
                    .about = event->name.empty() ? event->kind
                                                 : fmt::format("{} {}", event->kind, event->name),
                    .reason = event->reason,
                    .message = event->message});
  }
  print_table(rows);
  return {};
}

using Print = Result<void> (*)(const json::value&);

int list(const CommonOptions& common, const std::string& target, Print print) {
  const auto result = show(common, target, print);
  return result ? kDone : report(result.error());
}

CLI::App* add_list(CLI::App& app, const CommonOptions& common, Command& command, const char* name,
                   const char* text, const char* target, Print print) {
  auto* subcommand = app.add_subcommand(name, text);
  subcommand->footer(fmt::format("Example: berth {} --json", name));
  subcommand->callback([&common, &command, subcommand, target, print] {
    if (!subcommand->get_subcommands().empty()) return;  // one of its own was called
    command = [&common, target, print] { return list(common, target, print); };
  });
  return subcommand;
}

struct EventFlags {
  std::uint32_t limit = 50;
  std::string kind;
  std::string name;
};

std::string events_target(const EventFlags& flags) {
  net::Query query;
  query.add("limit", std::to_string(flags.limit));
  if (!flags.kind.empty()) query.add("kind", flags.kind);
  if (!flags.name.empty()) query.add("name", flags.name);
  return "/api/v1/events?" + query.to_string();
}

}  // namespace

void add_lists(CLI::App& app, const CommonOptions& common, Command& command) {
  auto model = std::make_shared<std::string>();
  auto* ps = app.add_subcommand("ps", "Show the instances: what runs where, and what hinders it");
  ps->add_option("MODEL", *model, "Only this model's");
  ps->footer("Example: berth ps");
  ps->callback([&common, &command, model] {
    command = [&common, model] {
      std::string target = "/api/v1/instances";
      if (!model->empty()) target += "?model=" + net::percent_encode(*model);
      return list(common, target, print_instances);
    };
  });
  add_list(app, common, command, "models", "Show the deployed models", "/api/v1/models",
           print_models);
  add_list(app, common, command, "workers", "Show the machines and their devices",
           "/api/v1/workers", print_workers);

  auto flags = std::make_shared<EventFlags>();
  auto* events = app.add_subcommand("events", "Show what happened, the newest last");
  events->add_option("--limit", flags->limit, "How many, 1 to 1000 (50)");
  events->add_option("--kind", flags->kind, "Only about this kind: model, instance, worker");
  events->add_option("--name", flags->name, "Only about this one");
  events->footer("Example: berth events --kind instance --limit 20");
  events->callback([&common, &command, flags] {
    command = [&common, flags] { return list(common, events_target(*flags), print_events); };
  });
}

}  // namespace berth::app
