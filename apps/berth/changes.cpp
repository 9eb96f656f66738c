// berth scale, stop and rm: more or fewer instances of a model, none, or none and no model.
#include "command.h"
#include "terminal.h"
#include "wait.h"

#include <algorithm>
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

struct ManyFlags {
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

// How many instances each model has now. Fails before anything is stopped where one is not there.
Result<std::vector<std::uint32_t>> replicas_of(const ApiClient& client,
                                               const std::vector<std::string>& names) {
  std::vector<std::uint32_t> replicas;
  for (const auto& name : names) {
    BERTH_TRY(const auto answer, client.get(model_target(name)));
    BERTH_TRY(const auto model, read_answer<ModelView>(answer));
    replicas.push_back(model.replicas);
  }
  return replicas;
}

Result<void> stop(const CommonOptions& common, const ManyFlags& flags) {
  BERTH_TRY(const auto client, ApiClient::connect(common));
  BERTH_TRY(const auto before, replicas_of(client, flags.models));
  json::array answers;
  for (const auto& name : flags.models) {
    BERTH_TRY(auto answer, client.patch(model_target(name), {{"replicas", 0}}));
    answers.push_back(std::move(answer));
  }
  if (!flags.no_wait) {
    BERTH_CHECK(wait_until_stopped(client, flags.models, kGonePatience));
    for (std::size_t i = 0; i < flags.models.size(); ++i) {
      BERTH_TRY(answers[i], client.get(model_target(flags.models[i])));
    }
  }
  if (common.json) {
    print_json({{"items", answers}});
    return {};
  }
  for (std::size_t i = 0; i < flags.models.size(); ++i) {
    const auto& name = flags.models[i];
    fmt::print("{} {}; start it again with: berth scale {} {}\n", name,
               flags.no_wait ? "is being stopped" : "is stopped", name,
               std::max<std::uint32_t>(before[i], 1));
  }
  return {};
}

Result<void> remove(const CommonOptions& common, const ManyFlags& flags) {
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

using Many = Result<void> (*)(const CommonOptions&, const ManyFlags&);

void add_many(CLI::App& app, const CommonOptions& common, Command& command, const char* name,
              const char* text, const char* no_wait, Many action) {
  auto flags = std::make_shared<ManyFlags>();
  auto* added = add_action(app, common, command, flags, name, text, action);
  added->add_option("MODEL", flags->models, "The models")->required();
  added->add_flag("--no-wait", flags->no_wait, no_wait);
  added->footer(fmt::format("Example: berth {} chat", name));
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
  add_many(app, common, command, "stop", "End the engines of models, and keep the models",
           "Do not wait until no instance is left", stop);
  add_many(app, common, command, "rm", "Remove models and end their engines",
           "Do not wait until they are gone", remove);
}

}  // namespace berth::app
