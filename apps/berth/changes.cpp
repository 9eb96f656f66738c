// berth scale and berth rm: more or fewer instances of a model, or none and no model.
#include "command.h"
#include "terminal.h"
#include "wait.h"

#include <memory>

#include <fmt/format.h>

namespace berth::app {
namespace {

constexpr std::chrono::seconds kGonePatience{30};

struct ScaleFlags {
  std::string model;
  std::uint32_t replicas = 1;
  bool no_wait = false;
  std::string timeout = "30m";
};

struct RemoveFlags {
  std::vector<std::string> models;
  bool no_wait = false;
};

Result<void> scale(const CommonOptions& common, const ScaleFlags& flags) {
  BERTH_TRY(const auto timeout, parse_timeout(flags.timeout));
  BERTH_TRY(const auto client, ApiClient::connect(common));
  BERTH_TRY(auto answer, client.patch(model_target(flags.model), {{"replicas", flags.replicas}}));
  if (!flags.no_wait) {
    BERTH_TRY(answer, wait_until_ready(client, flags.model, timeout));
  }
  if (common.json) {
    print_json(answer);
    return {};
  }
  fmt::print("{} {} {}\n", flags.model, flags.no_wait ? "will have" : "has",
             counted(flags.replicas, "instance"));
  return {};
}

Result<void> remove(const CommonOptions& common, const RemoveFlags& flags) {
  BERTH_TRY(const auto client, ApiClient::connect(common));
  json::array answers;
  for (const auto& name : flags.models) {
    BERTH_TRY(auto answer, client.del(model_target(name)));
    answers.push_back(std::move(answer));
  }
  if (!flags.no_wait) BERTH_CHECK(wait_until_gone(client, flags.models, kGonePatience));
  if (common.json) {
    print_json({{"items", answers}});
    return {};
  }
  for (const auto& name : flags.models) {
    fmt::print("{} {}; its files stay where they are\n", name,
               flags.no_wait ? "is being removed" : "is removed");
  }
  return {};
}

}  // namespace

void add_changes(CLI::App& app, const CommonOptions& common, Command& command) {
  auto to = std::make_shared<ScaleFlags>();
  auto* scale_command = app.add_subcommand("scale", "Give a model more or fewer instances");
  scale_command->add_option("MODEL", to->model, "The model")->required();
  scale_command->add_option("N", to->replicas, "How many instances; 0 keeps the model without any")
      ->required();
  scale_command->add_flag("--no-wait", to->no_wait, "Do not wait until it is so");
  scale_command->add_option("--timeout", to->timeout,
                            "Longest wait, such as 90s; 0 for none (30m)");
  scale_command->footer("Example: berth scale chat 2");
  scale_command->callback([&common, &command, to] {
    command = [&common, to] {
      const auto result = scale(common, *to);
      return result ? kDone : report(result.error());
    };
  });

  auto which = std::make_shared<RemoveFlags>();
  auto* remove_command = app.add_subcommand("rm", "Remove models and end their engines");
  remove_command->add_option("MODEL", which->models, "The models")->required();
  remove_command->add_flag("--no-wait", which->no_wait, "Do not wait until they are gone");
  remove_command->footer("Example: berth rm chat");
  remove_command->callback([&common, &command, which] {
    command = [&common, which] {
      const auto result = remove(common, *which);
      return result ? kDone : report(result.error());
    };
  });
}

}  // namespace berth::app
