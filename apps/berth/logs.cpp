// berth logs: what an engine wrote.
#include "api_client.h"
#include "api_views.h"
#include "command.h"

#include <algorithm>
#include <cstdio>
#include <memory>

#include <fmt/format.h>

namespace berth::app {
namespace {

struct LogFlags {
  std::string instance;
  bool follow = false;
  bool previous = false;
  std::optional<std::uint32_t> tail;
  std::optional<std::uint32_t> attempt;
};

// The instance of that name, or the only one of the model of that name.
Result<std::string> find_instance(const ApiClient& client, const std::string& name) {
  BERTH_TRY(const auto answer, client.get("/api/v1/instances"));
  BERTH_TRY(const auto instances, read_items<InstanceView>(answer));
  std::vector<std::string> of_model;
  for (const auto& instance : instances) {
    if (instance.name == name) return name;
    if (instance.model == name) of_model.push_back(instance.name);
  }
  if (of_model.size() == 1) return of_model.front();
  if (of_model.empty()) {
    return fail(ErrorCode::not_found, "there is no instance or model named \"{}\"; see berth ps",
                name);
  }
  return fail(ErrorCode::invalid_parameter, "{} has several instances; name one of {}", name,
              fmt::join(of_model, ", "));
}

std::string log_target(const std::string& instance, const LogFlags& flags) {
  net::Query query;
  if (flags.tail) query.add("tail", std::to_string(*flags.tail));
  if (flags.attempt) query.add("attempt", std::to_string(*flags.attempt));
  if (flags.previous) query.add("previous", "true");
  if (flags.follow) query.add("follow", "true");
  return fmt::format("/api/v1/instances/{}/logs{}{}", net::percent_encode(instance),
                     query.empty() ? "" : "?", query.to_string());
}

bool print_piece(std::string_view piece) {
  const bool written = std::fwrite(piece.data(), 1, piece.size(), stdout) == piece.size();
  return std::fflush(stdout) == 0 && written;
}

Result<void> print_log(const CommonOptions& common, const LogFlags& flags) {
  BERTH_TRY(const auto client, ApiClient::connect(common));
  BERTH_TRY(const auto instance, find_instance(client, flags.instance));
  return client.stream(log_target(instance, flags), "", print_piece);
}

}  // namespace

void add_logs(CLI::App& app, const CommonOptions& common, Command& command) {
  auto* logs = app.add_subcommand("logs", "Print what an engine wrote");
  auto flags = std::make_shared<LogFlags>();
  logs->add_option("INSTANCE", flags->instance, "The instance, or a model that has only one")
      ->required();
  logs->add_flag("-f,--follow", flags->follow, "Go on as more is written");
  logs->add_option("--tail", flags->tail, "Only the last lines, so many");
  auto* previous =
      logs->add_flag("--previous", flags->previous, "Of the attempt before the last one");
  logs->add_option("--attempt", flags->attempt, "Of this attempt")->excludes(previous);
  logs->footer("Example: berth logs -f --tail 20 chat");
  logs->callback([&common, &command, flags] {
    command = [&common, flags] {
      const auto result = print_log(common, *flags);
      return result ? kDone : report(result.error());
    };
  });
}

}  // namespace berth::app
