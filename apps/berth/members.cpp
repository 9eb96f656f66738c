// berth token, berth workers cordon, drain, rm: which machines may join and take instances, and
// which have to leave.
#include "api_client.h"
#include "api_views.h"
#include "command.h"
#include "terminal.h"
#include "wait.h"

#include <memory>

#include <fmt/format.h>

namespace berth::app {
namespace {

struct MemberFlags {
  std::string name;  // of a worker, or a token's id
  std::string expires = "24h";
  bool no_wait = false;
  std::string timeout = "30m";
};

struct TokenView {
  std::string id, created_at, expires_at;
};
BOOST_DESCRIBE_STRUCT(TokenView, (), (id, created_at, expires_at))

struct NewTokenView {
  std::string id, token, server, command, expires_at;
};
BOOST_DESCRIBE_STRUCT(NewTokenView, (), (id, token, server, command, expires_at))

struct TokenRow {
  Cell token, age, ends;
};
BOOST_DESCRIBE_STRUCT(TokenRow, (), (token, age, ends))

Result<void> create(const CommonOptions& common, const MemberFlags& flags) {
  BERTH_TRY(const Duration lifetime, parse_duration(flags.expires, "--expires"));
  BERTH_TRY(const auto client, ApiClient::connect(common));
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(lifetime).count();
  BERTH_TRY(const auto answer, client.post("/api/v1/tokens", {{"expires_in", seconds}}));
  if (common.json) {
    print_json(answer);
    return {};
  }
  BERTH_TRY(const auto token, read_answer<NewTokenView>(answer));
  fmt::print("{}\n", token.command);
  fmt::print(stderr,
             "berth: run this on each machine that should join, until {}; the token is shown only "
             "now\n",
             token.expires_at);
  return {};
}

Result<void> print_tokens(const json::value& answer) {
  BERTH_TRY(const auto tokens, read_items<TokenView>(answer));
  const auto now = real_clock().system_now();
  std::vector<TokenRow> rows;
  rows.reserve(tokens.size());
  for (const auto& token : tokens) {
    rows.push_back(
        {.token = token.id, .age = age_of(token.created_at, now), .ends = token.expires_at});
  }
  print_table(rows);
  return {};
}

Result<void> list(const CommonOptions& common, const MemberFlags&) {
  return show(common, "/api/v1/tokens", print_tokens);
}

Result<void> remove_token(const CommonOptions& common, const MemberFlags& flags) {
  BERTH_TRY(const auto client, ApiClient::connect(common));
  BERTH_TRY(const auto answer, client.del("/api/v1/tokens/" + net::percent_encode(flags.name)));
  return finish(common, answer,
                fmt::format("Nobody can join with the token {} any more", flags.name));
}

Result<void> remove_worker(const CommonOptions& common, const MemberFlags& flags) {
  BERTH_TRY(const auto client, ApiClient::connect(common));
  BERTH_TRY(const auto answer, client.del("/api/v1/workers/" + net::percent_encode(flags.name)));
  return finish(common, answer,
                fmt::format("The worker {} is removed, and its certificate is worth nothing now",
                            flags.name));
}

Result<json::value> schedule(const ApiClient& client, const std::string& worker,
                             model::Scheduling scheduling) {
  return client.patch("/api/v1/workers/" + net::percent_encode(worker),
                      {{"scheduling", enum_name(scheduling)}});
}

Result<void> cordon(const CommonOptions& common, const MemberFlags& flags) {
  BERTH_TRY(const auto client, ApiClient::connect(common));
  BERTH_TRY(const auto answer, schedule(client, flags.name, model::Scheduling::cordoned));
  return finish(common, answer, fmt::format("Nothing new is placed on {}", flags.name));
}

Result<void> uncordon(const CommonOptions& common, const MemberFlags& flags) {
  BERTH_TRY(const auto client, ApiClient::connect(common));
  BERTH_TRY(const auto answer, schedule(client, flags.name, model::Scheduling::open));
  return finish(common, answer, fmt::format("{} takes instances again", flags.name));
}

// What has no place now, perhaps because of the drain.
Result<void> warn_of_waiting(const ApiClient& client) {
  BERTH_TRY(const auto answer, client.get("/api/v1/instances"));
  BERTH_TRY(const auto instances, read_items<InstanceView>(answer));
  for (const auto& instance : instances) {
    if (instance.state != model::InstanceState::pending) continue;
    fmt::print(stderr, "berth: warning: {} waits: {}\n", instance.name, printable(instance.reason));
  }
  return {};
}

Result<void> drain(const CommonOptions& common, const MemberFlags& flags) {
  BERTH_TRY(const auto timeout, parse_timeout(flags.timeout));
  BERTH_TRY(const auto client, ApiClient::connect(common));
  BERTH_TRY(const auto answer, schedule(client, flags.name, model::Scheduling::draining));
  if (flags.no_wait) return finish(common, answer, fmt::format("{} is being drained", flags.name));
  BERTH_CHECK(wait_until_drained(client, flags.name, timeout));
  BERTH_CHECK(warn_of_waiting(client));
  return finish(
      common, answer,
      fmt::format("{0} has no instances any more (berth workers uncordon {0})", flags.name));
}

}  // namespace

void add_members(CLI::App& app, CLI::App& workers, const CommonOptions& common, Command& command) {
  auto flags = std::make_shared<MemberFlags>();
  auto* token = app.add_subcommand("token", "Let other machines join as workers");
  token->require_subcommand(1);
  token->footer("Example: berth token create --expires 1h");
  auto* made =
      add_action(*token, common, command, flags, "create",
                 "Make a join token, and print the line to run on the other machine", create);
  made->add_option("--expires", flags->expires, "How long machines may join with it (24h)");
  made->footer("Example: berth token create --expires 1h");
  add_action(*token, common, command, flags, "list", "Show the tokens, without themselves", list)
      ->footer("Example: berth token list");
  auto* removed = add_action(*token, common, command, flags, "rm",
                             "Let nobody else join with a token", remove_token);
  removed->add_option("TOKEN", flags->name, "Its name in berth token list")->required();
  removed->footer("Example: berth token rm 4f9a0c1b");
  struct Named {
    const char* name;
    const char* text;
    Result<void> (*action)(const CommonOptions&, const MemberFlags&);
  };
  const auto add_named = [&](const Named& named) {
    auto* added = add_action(workers, common, command, flags, named.name, named.text, named.action);
    added->add_option("NAME", flags->name, "The worker's name")->required();
    added->footer(fmt::format("Example: berth workers {} box-2", named.name));
    return added;
  };
  add_named({"cordon", "Place nothing new on a worker", cordon});
  add_named({"uncordon", "Let a worker take instances again", uncordon});
  auto* drained = add_named(
      {"drain", "Let what a worker has run elsewhere, new instances first where there is room",
       drain});
  drained->add_flag("--no-wait", flags->no_wait, "Do not wait until nothing is left on it");
  drained->add_option("--timeout", flags->timeout, "How long to wait; 0 is no limit (30m)");
  add_named({"rm",
             "Remove a worker that is lost or has no instances, and take its certificate back",
             remove_worker});
}

}  // namespace berth::app
