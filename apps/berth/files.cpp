// berth apply, get, diff: deployments as files.
#include "command.h"
#include "deployment_files.h"
#include "terminal.h"
#include "text/deployment_file.h"
#include "text/line_diff.h"
#include "wait.h"

#include <cstdio>
#include <memory>

#include <fmt/format.h>

namespace berth::app {
namespace {

struct ApplyFlags {
  std::vector<std::string> files;
  bool dry_run = false;
  bool wait = false;
  std::string timeout = "30m";
};

struct GetFlags {
  std::vector<std::string> models;
  std::string format = "yaml";
};

struct DiffFlags {
  std::vector<std::string> files;
};

// A deployment of a file, what it would replace, and what the server says that it would do.
struct Planned {
  FileDeployment wanted;
  std::optional<InForce> before;
  PutView outcome;
};

// Asks the server about every deployment; changes nothing.
Result<std::vector<Planned>> plan(const ApiClient& client, const std::vector<std::string>& files) {
  BERTH_TRY(auto wanted, read_deployment_files(files));
  std::vector<Planned> plans;
  for (auto& one : wanted) {
    BERTH_TRY(auto before, find_in_force(client, one.deployment.name));
    auto outcome = put_deployment(client, one.deployment, before, PutMode::check);
    if (!outcome) {
      return fail(std::move(outcome).error().context("{}: {}", one.file, one.deployment.name));
    }
    plans.push_back(
        {.wanted = std::move(one), .before = std::move(before), .outcome = std::move(*outcome)});
  }
  return plans;
}

void print_outcome(const PutView& outcome, bool dry_run) {
  std::string text =
      fmt::format("{} {}{}", outcome.name, dry_run ? "would be " : "", outcome.outcome);
  if (outcome.replaces_instances) text += " (replaces its instances)";
  if (outcome.outcome == "created") {
    text += fmt::format(" from {}", outcome.deployment.source);
    if (!outcome.read_by.empty()) text += fmt::format(" on the worker {}", outcome.read_by);
  }
  fmt::print("{}\n", printable(text));
}

Result<void> apply(const CommonOptions& common, const ApplyFlags& flags) {
  BERTH_TRY(const auto timeout, parse_timeout(flags.timeout));
  BERTH_TRY(const auto client, ApiClient::connect(common));
  auto checked = plan(client, flags.files);
  if (!checked) return fail(std::move(checked).error());
  json::array answers;
  for (auto& planned : *checked) {
    auto& outcome = planned.outcome;
    if (!flags.dry_run && outcome.outcome != "unchanged") {
      auto done = put_deployment(client, planned.wanted.deployment, planned.before, PutMode::write);
      if (!done) {
        return fail(std::move(done).error().context("{} is as it was", outcome.name));
      }
      outcome = std::move(*done);
    }
    if (!common.json) print_outcome(outcome, flags.dry_run && outcome.outcome != "unchanged");
    answers.emplace_back(std::move(outcome.answer));
  }
  if (flags.wait && !flags.dry_run) {
    for (std::size_t i = 0; i < checked->size(); ++i) {
      BERTH_TRY(const auto ready, wait_until_ready(client, (*checked)[i].outcome.name, timeout));
      json::object& answer = answers[i].get_object();
      for (const auto& member : ready.get_object()) answer[member.key()] = member.value();
    }
  }
  if (common.json) print_json({{"items", answers}});
  return {};
}

Result<std::vector<model::Deployment>> find_deployments(const ApiClient& client,
                                                        const std::vector<std::string>& names) {
  std::vector<model::Deployment> found;
  if (names.empty()) {
    BERTH_TRY(const auto answer, client.get("/api/v1/models"));
    BERTH_TRY(auto models, read_items<ModelView>(answer));
    for (auto& model : models) {
      if (!model.deleting) found.push_back(std::move(model.deployment));
    }
    return found;
  }
  for (const auto& name : names) {
    BERTH_TRY(const auto answer, client.get(model_target(name)));
    BERTH_TRY(auto model, read_answer<ModelView>(answer));
    found.push_back(std::move(model.deployment));
  }
  return found;
}

Result<void> get(const CommonOptions& common, const GetFlags& flags) {
  BERTH_TRY(const auto client, ApiClient::connect(common));
  BERTH_TRY(const auto deployments, find_deployments(client, flags.models));
  if (common.json || flags.format == "json") {
    json::array all;
    for (const auto& deployment : deployments) all.emplace_back(text::to_written(deployment));
    print_json(flags.models.size() == 1 ? all.front() : json::value(all));
    return {};
  }
  std::string text;
  for (const auto& deployment : deployments) {
    if (!text.empty()) text += "---\n";
    text += text::to_yaml(deployment);
  }
  terminal_detail::print_text(text);
  if (deployments.empty()) fmt::print(stderr, "berth: no model is deployed\n");
  return {};
}

std::string diff_of(const Planned& planned) {
  const std::string& name = planned.outcome.name;
  const std::string before = planned.before ? text::to_yaml(planned.before->deployment) : "";
  return text::unified_diff(before, text::to_yaml(planned.outcome.deployment),
                            planned.before ? name + " (in force)" : "/dev/null",
                            fmt::format("{} ({})", name, planned.wanted.file));
}

// Whether there are differences.
Result<bool> diff(const CommonOptions& common, const DiffFlags& flags) {
  BERTH_TRY(const auto client, ApiClient::connect(common));
  BERTH_TRY(const auto plans, plan(client, flags.files));
  bool differs = false;
  json::array items;
  for (const auto& planned : plans) {
    const std::string text = diff_of(planned);
    differs = differs || !text.empty();
    items.push_back(json::object{{"name", planned.outcome.name},
                                 {"outcome", planned.outcome.outcome},
                                 {"replaces_instances", planned.outcome.replaces_instances},
                                 {"diff", text}});
    if (common.json) continue;
    terminal_detail::print_text(printable_lines(text));
    if (planned.outcome.replaces_instances) {
      fmt::print(stderr, "berth: {}: its instances would be replaced\n", planned.outcome.name);
    }
  }
  if (common.json) print_json({{"items", items}});
  return differs;
}

void add_files(CLI::App& command, std::vector<std::string>& files) {
  command.add_option("-f,--file", files, "YAML documents or JSON; - is standard input; repeatable")
      ->required()
      ->allow_extra_args(false);
}

void add_apply(CLI::App& app, const CommonOptions& common, Command& command) {
  auto* apply_command = app.add_subcommand("apply", "Deploy models from files, or change them");
  auto flags = std::make_shared<ApplyFlags>();
  add_files(*apply_command, flags->files);
  apply_command->add_flag("--dry-run", flags->dry_run, "Check all and tell, but change nothing");
  apply_command->add_flag("--wait", flags->wait, "Wait until all of them are ready");
  apply_command->add_option("--timeout", flags->timeout,
                            "Longest wait, such as 90s; 0 for none (30m)");
  apply_command->footer(
      "All deployments are checked before the first is written. A relative source is taken from\n"
      "the folder of its file. Fields that are absent have their defaults: a deployment is\n"
      "replaced as a whole. berth schema deployment tells the fields.\n"
      "Example: berth apply -f models.yaml");
  apply_command->callback([&common, &command, flags] {
    command = [&common, flags] {
      const auto result = apply(common, *flags);
      return result ? kDone : report(result.error());
    };
  });
}

void add_get(CLI::App& app, const CommonOptions& common, Command& command) {
  auto* get_command = app.add_subcommand("get", "Print deployments, to be applied again");
  auto flags = std::make_shared<GetFlags>();
  get_command->add_option("MODEL", flags->models, "The models; all where none is named");
  get_command->add_option("-o,--output", flags->format, "yaml (default) or json")
      ->check(CLI::IsMember({"yaml", "json"}));
  get_command->footer(
      "Fields that have their default are left out.\n"
      "Example: berth get chat > chat.yaml");
  get_command->callback([&common, &command, flags] {
    command = [&common, flags] {
      const auto result = get(common, *flags);
      return result ? kDone : report(result.error());
    };
  });
}

void add_diff(CLI::App& app, const CommonOptions& common, Command& command) {
  auto* diff_command = app.add_subcommand("diff", "Show what berth apply would change");
  auto flags = std::make_shared<DiffFlags>();
  add_files(*diff_command, flags->files);
  diff_command->footer(
      "Exit code as of diff: 0 without differences, 1 with some, 2 where it failed.\n"
      "Example: berth diff -f models.yaml");
  diff_command->callback([&common, &command, flags] {
    command = [&common, flags] {
      const auto differs = diff(common, *flags);
      if (differs) return *differs ? kFailed : kDone;
      report(differs.error());
      return kUsage;
    };
  });
}

}  // namespace

void add_deployment_files(CLI::App& app, const CommonOptions& common, Command& command) {
  add_apply(app, common, command);
  add_get(app, common, command);
  add_diff(app, common, command);
}

}  // namespace berth::app
