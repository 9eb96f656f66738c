// berth rollout: how far the newest edit of a model is, its revisions, and the way back.
#include "command.h"
#include "terminal.h"
#include "wait.h"

#include <memory>
#include <thread>

#include <fmt/format.h>

namespace berth::app {
namespace {

using model::RolloutState;

constexpr std::chrono::milliseconds kLook{300};

struct StatusFlags {
  std::string model;
  bool no_wait = false;
  std::string timeout = "0";
};

struct UndoFlags {
  std::string model;
  std::optional<std::uint64_t> to;
  bool no_wait = false;
  std::string timeout = "30m";
};

struct HistoryFlags {
  std::string model;
};

std::string rollout_target(const std::string& model) { return model_target(model) + "/rollout"; }

std::string describe(const RolloutAnswer& rollout) {
  std::string text = fmt::format("{}: revision {}: {} of {} new instances ready", rollout.name,
                                 rollout.revision, rollout.ready, rollout.replicas);
  if (rollout.old != 0) text += fmt::format(", {} old left", rollout.old);
  if (!rollout.reason.empty()) text += fmt::format("; {}", rollout.reason);
  return text;
}

// Waits until the rollout is over, well or badly. Fails with unavailable where it was rolled back
// or failed, timeout, or not_found when the model went away.
Result<json::value> wait_until_rolled_out(const ApiClient& client, const std::string& model,
                                          std::optional<Duration> timeout) {
  Progress progress;
  const auto started = real_clock().steady_now();
  for (;;) {
    BERTH_TRY(auto answer, client.get(rollout_target(model)));
    BERTH_TRY(const auto rollout, read_answer<RolloutAnswer>(answer));
    if (rollout.state == RolloutState::complete) return answer;
    if (rollout.state != RolloutState::progressing) {
      return fail(ErrorCode::unavailable, "{}: {}", model, rollout.reason);
    }
    const auto waited = std::chrono::duration_cast<Duration>(real_clock().steady_now() - started);
    if (timeout && waited >= *timeout) {
      return fail(ErrorCode::timeout,
                  "not rolled out after {} ({}); it goes on without this command",
                  duration_text(waited), describe(rollout));
    }
    progress.show(describe(rollout), fmt::format("({})", duration_text(waited)));
    std::this_thread::sleep_for(kLook);
  }
}

Result<void> print_serving(const CommonOptions& common, const json::value& answer) {
  BERTH_TRY(const auto rollout, read_answer<RolloutAnswer>(answer));
  return finish(common, answer,
                fmt::format("{}: revision {} serves ({} of {} instances ready)", rollout.name,
                            rollout.revision, rollout.ready, rollout.replicas));
}

Result<void> status(const CommonOptions& common, const StatusFlags& flags) {
  BERTH_TRY(const auto timeout, parse_timeout(flags.timeout));
  BERTH_TRY(const auto client, ApiClient::connect(common));
  if (!flags.no_wait) {
    BERTH_TRY(const auto answer, wait_until_rolled_out(client, flags.model, timeout));
    return print_serving(common, answer);
  }
  BERTH_TRY(const auto answer, client.get(rollout_target(flags.model)));
  BERTH_TRY(const auto rollout, read_answer<RolloutAnswer>(answer));
  return finish(common, answer,
                fmt::format("{} ({})", describe(rollout), enum_name(rollout.state)));
}

struct HistoryRow {
  Cell revision;
  Cell state;
  Cell age;
  Cell source;
  Cell reason;
};
BOOST_DESCRIBE_STRUCT(HistoryRow, (), (revision, state, age, source, reason))

Result<void> print_history(const json::value& answer) {
  BERTH_TRY(const auto rollout, read_answer<RolloutAnswer>(answer));
  std::vector<HistoryRow> rows;
  for (const auto& one : rollout.revisions) {
    const bool in_force = one.generation == rollout.revision;
    rows.push_back(
        {.revision = Cell(std::to_string(one.generation)),
         .state = Cell(fmt::format("{}{}", enum_name(one.outcome), in_force ? ", in force" : "")),
         .age = Cell(age_of(one.made_at, real_clock().system_now())),
         .source = Cell(printable(one.deployment.source)),
         .reason = Cell(printable(one.reason))});
  }
  print_table(rows);
  return {};
}

Result<void> history(const CommonOptions& common, const HistoryFlags& flags) {
  return show(common, rollout_target(flags.model), print_history);
}

Result<void> undo(const CommonOptions& common, const UndoFlags& flags) {
  BERTH_TRY(const auto timeout, parse_timeout(flags.timeout));
  BERTH_TRY(const auto client, ApiClient::connect(common));
  json::object wish;
  if (flags.to) wish["to"] = *flags.to;
  BERTH_TRY(auto answer, client.post(rollout_target(flags.model) + "/undo", wish));
  if (!flags.no_wait) {
    BERTH_TRY(answer, wait_until_rolled_out(client, flags.model, timeout));
    return print_serving(common, answer);
  }
  return finish(common, answer, fmt::format("{} goes back", flags.model));
}

}  // namespace

void add_rollout(CLI::App& app, const CommonOptions& common, Command& command) {
  auto* rollout = app.add_subcommand("rollout", "How far edits are, revisions, and the way back");
  rollout->require_subcommand(1);
  rollout->footer("Example: berth rollout status chat");

  auto state = std::make_shared<StatusFlags>();
  auto* status_command = add_action(*rollout, common, command, state, "status",
                                    "Wait until the newest edit of a model serves", status);
  status_command->add_option("MODEL", state->model, "The model")->required();
  status_command->add_flag("--no-wait", state->no_wait, "Say how it is, and do not wait");
  status_command->add_option("--timeout", state->timeout,
                             "Longest wait, such as 90s; 0 for none (0)");
  status_command->footer(
      "Fails where the edit was rolled back, or did not become ready.\n"
      "Example: berth rollout status chat --timeout 10m");

  auto of = std::make_shared<HistoryFlags>();
  auto* history_command =
      add_action(*rollout, common, command, of, "history",
                 "The last revisions of a model, and what became of them", history);
  history_command->add_option("MODEL", of->model, "The model")->required();
  history_command->footer("Example: berth rollout history chat");

  auto back = std::make_shared<UndoFlags>();
  auto* undo_command =
      add_action(*rollout, common, command, back, "undo", "Go back to an earlier revision", undo);
  undo_command->add_option("MODEL", back->model, "The model")->required();
  undo_command->add_option("--to", back->to,
                           "The revision (the last one before that was ready); see history");
  undo_command->add_flag("--no-wait", back->no_wait, "Do not wait until it serves");
  undo_command->add_option("--timeout", back->timeout,
                           "Longest wait, such as 90s; 0 for none (30m)");
  undo_command->footer(
      "Replicas and policies stay as they are.\nExample: berth rollout undo chat --to 2");
}

}  // namespace berth::app
