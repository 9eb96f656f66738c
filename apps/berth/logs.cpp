// berth logs: what an engine wrote, or a worker.
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
  std::string worker;
  std::string since;
  bool follow = false;
  bool previous = false;
  std::optional<std::uint32_t> tail;
  std::optional<std::uint32_t> attempt;
  std::optional<std::uint32_t> member;
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

// `path` is the API's, such as "/api/v1/workers/box1/logs".
std::string log_target(const std::string& path, const LogFlags& flags) {
  net::Query query;
  if (flags.tail) query.add("tail", std::to_string(*flags.tail));
  if (flags.attempt) query.add("attempt", std::to_string(*flags.attempt));
  if (flags.member) query.add("member", std::to_string(*flags.member));
  if (flags.previous) query.add("previous", "true");
  if (!flags.since.empty()) query.add("since", flags.since);
  if (flags.follow) query.add("follow", "true");
  return fmt::format("{}{}{}", path, query.empty() ? "" : "?", query.to_string());
}

bool print_piece(std::string_view piece) {
  const bool written = std::fwrite(piece.data(), 1, piece.size(), stdout) == piece.size();
  return std::fflush(stdout) == 0 && written;
}

Result<void> print_log(const CommonOptions& common, const LogFlags& flags) {
  if (flags.worker.empty() && flags.instance.empty()) {
    return fail(ErrorCode::invalid_parameter,
                "name an instance, a model that has only one, or a worker by --worker");
  }
  BERTH_TRY(const auto client, ApiClient::connect(common));
  if (!flags.worker.empty()) {
    const auto path = fmt::format("/api/v1/workers/{}/logs", net::percent_encode(flags.worker));
    return client.stream(log_target(path, flags), "", print_piece);
  }
  BERTH_TRY(const auto instance, find_instance(client, flags.instance));
  const auto path = fmt::format("/api/v1/instances/{}/logs", net::percent_encode(instance));
  return client.stream(log_target(path, flags), "", print_piece);
}

}  // namespace

void add_logs(CLI::App& app, const CommonOptions& common, Command& command) {
  auto* logs = app.add_subcommand("logs", "Print what an engine or a worker wrote");
  auto flags = std::make_shared<LogFlags>();
  auto* instance =
      logs->add_option("INSTANCE", flags->instance, "The instance, or a model that has only one");
  auto* worker = logs->add_option("--worker", flags->worker, "Of the worker of this name itself")
                     ->excludes(instance);
  logs->add_flag("-f,--follow", flags->follow, "Go on as more is written, also by later attempts");
  logs->add_option("--tail", flags->tail, "Only the last lines, so many");
  logs->add_option("--since", flags->since,
                   "Only what was written from then on: 10m, 1h30m, 2026-11-22T10:15:30Z");
  auto* previous =
      logs->add_flag("--previous", flags->previous, "Of the attempt before the last one")
          ->excludes(worker);
  logs->add_option("--attempt", flags->attempt, "Of this attempt")
      ->excludes(previous)
      ->excludes(worker);
  logs->add_option("--member", flags->member,
                   "Of this process of an instance that runs as several; 0, the main one")
      ->excludes(worker);
  logs->footer("Example: berth logs -f --tail 20 chat");
  logs->callback([&common, &command, flags] {
    command = [&common, flags] {
      const auto result = print_log(common, *flags);
      return result ? kDone : report(result.error());
    };
  });
}

}  // namespace berth::app
