// berth key: who may use the API.
#include "api_client.h"
#include "background_server.h"
#include "command.h"
#include "terminal.h"

#include <cstdio>
#include <memory>

#include <fmt/format.h>

namespace berth::app {
namespace {

struct KeyFlags {
  std::string name;
  bool admin = false;
};

struct KeyView {
  std::string name, prefix, role, created_at;
};
BOOST_DESCRIBE_STRUCT(KeyView, (), (name, prefix, role, created_at))

struct NewKeyView {
  std::string name, role, key;
};
BOOST_DESCRIBE_STRUCT(NewKeyView, (), (name, role, key))

struct KeyRow {
  Cell name, role, begins_with, age;
};
BOOST_DESCRIBE_STRUCT(KeyRow, (), (name, role, begins_with, age))

Result<void> create(const CommonOptions& common, const KeyFlags& flags) {
  BERTH_TRY(const auto client, ApiClient::connect(common));
  BERTH_TRY(const auto answer,
            client.post("/api/v1/keys",
                        {{"name", flags.name}, {"role", flags.admin ? "admin" : "user"}}));
  if (common.json) {
    print_json(answer);
    return {};
  }
  BERTH_TRY(const auto key, read_answer<NewKeyView>(answer));
  fmt::print("{}\n", key.key);
  fmt::print(stderr, "berth: this is the only time that the key \"{}\" ({}) is shown\n", key.name,
             flags.admin ? "may do everything" : "may use models");
  return {};
}

Result<void> print_keys(const json::value& answer) {
  BERTH_TRY(const auto keys, read_items<KeyView>(answer));
  const auto now = real_clock().system_now();
  std::vector<KeyRow> rows;
  rows.reserve(keys.size());
  for (const auto& key : keys) {
    rows.push_back({.name = key.name,
                    .role = key.role,
                    .begins_with = key.prefix,
                    .age = age_of(key.created_at, now)});
  }
  print_table(rows);
  return {};
}

Result<void> list(const CommonOptions& common, const KeyFlags&) {
  return show(common, "/api/v1/keys", print_keys);
}

Result<void> remove(const CommonOptions& common, const KeyFlags& flags) {
  BERTH_TRY(const auto client, ApiClient::connect(common));
  BERTH_TRY(const auto answer, client.del("/api/v1/keys/" + net::percent_encode(flags.name)));
  if (common.json)
    print_json(answer);
  else
    fmt::print("The key {} is removed\n", flags.name);
  return {};
}

// Needs the data folder, not a key: this is the way back in where the key was lost.
Result<void> reset_admin(const CommonOptions& common, const KeyFlags&) {
  BERTH_TRY(const DataFolder data, find_data_folder(common.data));
  BERTH_CHECK(create_data_folder(data));
  BERTH_TRY(const std::string key, server::reset_admin_key(data));
  BERTH_TRY(const bool told, reload_server_keys(data, key));
  if (common.json) {
    print_json({{"name", "admin"}, {"key", key}, {"in_force", told}});
    return {};
  }
  fmt::print("{}\n", key);
  fmt::print(stderr, "berth: the new key is kept in {}; {}\n", data.admin_key().string(),
             told ? "the server has it" : "it is in force when a server starts");
  return {};
}

}  // namespace

void add_keys(CLI::App& app, const CommonOptions& common, Command& command) {
  auto* key = app.add_subcommand("key", "Make, show and remove API keys");
  key->require_subcommand(1);
  key->footer("Example: berth key create laptop");
  auto flags = std::make_shared<KeyFlags>();
  auto* made =
      add_action(*key, common, command, flags, "create", "Make a key and print it once", create);
  made->add_option("NAME", flags->name, "How the key is called")->required();
  made->add_flag("--admin", flags->admin, "It may do everything, not only use models");
  made->footer("Example: berth key create laptop");
  add_action(*key, common, command, flags, "list", "Show the keys, without themselves", list)
      ->footer("Example: berth key list");
  auto* removed = add_action(*key, common, command, flags, "rm", "Remove a key", remove);
  removed->add_option("NAME", flags->name, "The key's name")->required();
  removed->footer("Example: berth key rm laptop");
  add_action(*key, common, command, flags, "reset-admin",
             "Replace the admin's key in the data folder", reset_admin)
      ->footer("Example: berth key reset-admin");
}

}  // namespace berth::app
