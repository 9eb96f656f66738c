// berth engines: the engine packs of the workers.
#include "api_client.h"
#include "api_views.h"
#include "command.h"
#include "engines/installer.h"
#include "terminal.h"

#include <algorithm>
#include <memory>
#include <set>
#include <thread>

#include <fmt/format.h>

namespace berth::app {
namespace {

using model::PackState;

constexpr std::chrono::milliseconds kLook{500};
constexpr std::chrono::minutes kInstallPatience{120};
constexpr std::chrono::seconds kRemovePatience{60};
// A worker hears of a wish within that time; only then is an old failure a new one.
constexpr std::chrono::seconds kBeginPatience{10};

struct EngineFlags {
  std::string pack;
  std::string worker;
  bool no_wait = false;
};

struct EngineRow {
  Cell worker, pack, state, engine, version, build, runs_on, size, about, licence;
};
BOOST_DESCRIBE_STRUCT(EngineRow, (),
                      (worker, pack, state, engine, version, build, runs_on, size, about, licence))

Result<std::vector<EngineView>> find_packs(const ApiClient& client, const EngineFlags& flags) {
  BERTH_TRY(const auto answer, client.get("/api/v1/engines"));
  BERTH_TRY(auto packs, read_items<EngineView>(answer));
  std::erase_if(packs, [&](const EngineView& view) {
    return view.pack.name != flags.pack || (!flags.worker.empty() && view.worker != flags.worker);
  });
  return packs;
}

EngineRow row_of(const EngineView& view) {
  const auto style = view.state == PackState::installed    ? Style::good
                     : view.state == PackState::failed     ? Style::bad
                     : view.state == PackState::installing ? Style::busy
                                                           : Style::plain;
  std::string about = view.reason;
  if (view.state == PackState::installing) about = view.step;
  if (view.outdated) about = fmt::format("outdated: berth engines install {}", view.pack.name);
  if (view.progress) about += fmt::format(" {:.0f} %", *view.progress * 100);
  return {.worker = view.worker,
          .pack = view.pack.name,
          .state = {std::string(enum_name(view.state)), style},
          .engine = view.pack.engine,
          .version = view.pack.version,
          .build = view.pack.build,
          .runs_on = fmt::format("{}", fmt::join(view.pack.runtimes, ",")),
          .size = view.size.count == 0 ? "" : to_string(view.size),
          .about = about.empty() ? view.pack.description : about,
          .licence = fmt::format("{}", fmt::join(view.pack.licences, ", "))};
}

Result<void> list(const CommonOptions& common) {
  BERTH_TRY(const auto client, ApiClient::connect(common));
  BERTH_TRY(const auto answer, client.get("/api/v1/engines"));
  if (common.json) {
    print_json(answer);
    return {};
  }
  BERTH_TRY(const auto packs, read_items<EngineView>(answer));
  std::vector<EngineRow> rows;
  rows.reserve(packs.size());
  for (const auto& view : packs) rows.push_back(row_of(view));
  print_table(rows);
  return {};
}

std::string show_step(const EngineView& view) {
  return fmt::format("{} on {}: {}{}{}", view.pack.name, view.worker, enum_name(view.state),
                     view.step.empty() ? "" : ": ", view.step);
}

Result<void> wait_until_installed(const ApiClient& client, const EngineFlags& flags) {
  Progress progress;
  const auto begun = real_clock().steady_now();
  std::set<std::string> seen_installing;
  for (;;) {
    BERTH_TRY(const auto packs, find_packs(client, flags));
    const auto waited = real_clock().steady_now() - begun;
    bool done = true;
    for (const auto& view : packs) {
      if (view.state == PackState::installed && !view.outdated) continue;
      if (view.state == PackState::installed && waited > kBeginPatience &&
          !seen_installing.contains(view.worker)) {
        return fail(ErrorCode::conflict,
                    "{} on {} is from another Berth, and engines run from it; remove their models "
                    "first",
                    flags.pack, view.worker);
      }
      if (view.state == PackState::installing) seen_installing.insert(view.worker);
      if (view.state == PackState::failed &&
          (seen_installing.contains(view.worker) || waited > kBeginPatience)) {
        return fail(ErrorCode::unavailable, "{} was not installed on {}: {}", flags.pack,
                    view.worker, view.reason);
      }
      done = false;
      progress.show(show_step(view),
                    view.progress ? fmt::format("({:.0f} %)", *view.progress * 100) : "");
    }
    if (done) return {};
    if (waited > kInstallPatience) {
      return fail(ErrorCode::timeout, "{} is not installed after {}; see berth engines list",
                  flags.pack, duration_text(kInstallPatience));
    }
    std::this_thread::sleep_for(kLook);
  }
}

Result<void> wait_until_removed(const ApiClient& client, const EngineFlags& flags) {
  Progress progress;
  const auto deadline = real_clock().steady_now() + kRemovePatience;
  for (;;) {
    BERTH_TRY(const auto packs, find_packs(client, flags));
    const auto left = std::find_if(packs.begin(), packs.end(), [](const EngineView& view) {
      return view.state == PackState::installed || view.state == PackState::installing;
    });
    if (left == packs.end()) return {};
    if (real_clock().steady_now() >= deadline) {
      return fail(ErrorCode::conflict, "{} is still on {}; an engine that runs from it keeps it",
                  flags.pack, left->worker);
    }
    progress.show(fmt::format("{}: waiting for {} to remove it", flags.pack, left->worker));
    std::this_thread::sleep_for(kLook);
  }
}

std::string pack_target(const EngineFlags& flags) {
  return "/api/v1/engines/" + net::percent_encode(flags.pack);
}

Result<void> install(const CommonOptions& common, const EngineFlags& flags) {
  BERTH_TRY(const auto client, ApiClient::connect(common));
  json::object wish;
  if (!flags.worker.empty()) wish["worker"] = flags.worker;
  BERTH_TRY(const auto answer, client.post(pack_target(flags) + "/install", wish));
  if (!flags.no_wait) BERTH_CHECK(wait_until_installed(client, flags));
  return finish(
      common, answer,
      fmt::format("{} {}", flags.pack, flags.no_wait ? "is being installed" : "is installed"));
}

Result<void> remove(const CommonOptions& common, const EngineFlags& flags) {
  BERTH_TRY(const auto client, ApiClient::connect(common));
  std::string target = pack_target(flags);
  if (!flags.worker.empty()) target += "?worker=" + net::percent_encode(flags.worker);
  BERTH_TRY(const auto answer, client.del(target));
  if (!flags.no_wait) BERTH_CHECK(wait_until_removed(client, flags));
  return finish(
      common, answer,
      fmt::format("{} {}", flags.pack, flags.no_wait ? "is being removed" : "is removed"));
}

// The packs that instances are placed with. Only the folder's own server knows them.
Result<std::set<std::string>> packs_in_use(const CommonOptions& common, const DataFolder& data) {
  const auto running = find_running_server(data);
  if (!running) {
    return fail(ErrorCode::unavailable,
                "no server runs on {}, so that nobody knows which packs are in use; start one with "
                "berth serve",
                data.root.string());
  }
  CommonOptions local = common;
  local.server = running->url;
  BERTH_TRY(const auto client, ApiClient::connect(local));
  BERTH_TRY(const auto answer, client.get("/api/v1/instances"));
  BERTH_TRY(const auto instances, read_items<InstanceView>(answer));
  std::set<std::string> used;
  for (const auto& instance : instances) {
    if (instance.placement) used.insert(instance.placement->pack);
  }
  return used;
}

// This machine's packs only: they lie in the data folder.
Result<void> prune(const CommonOptions& common) {
  BERTH_TRY(const DataFolder data, find_data_folder(common.data));
  BERTH_TRY(const auto used, packs_in_use(common, data));
  BERTH_TRY(const auto catalogue, engines::load_catalogue(data.root));
  engines::Installer installer({.data_dir = data.root, .environment = {}});
  BERTH_TRY(const Bytes freed, installer.prune(catalogue, [&](const engines::InstalledPack& pack) {
    return used.contains(pack.name);
  }));
  return finish(common, {{"freed", freed.count}}, fmt::format("{} freed", freed));
}

using Action = Result<void> (*)(const CommonOptions&, const EngineFlags&);

void add_pack_command(CLI::App& engines, const CommonOptions& common, Command& command,
                      const char* name, const char* text, Action action) {
  auto flags = std::make_shared<EngineFlags>();
  auto* subcommand = add_action(engines, common, command, flags, name, text, action);
  subcommand->add_option("PACK", flags->pack, "The engine pack")->required();
  subcommand->add_option("--worker", flags->worker, "Only on this worker");
  subcommand->add_flag("--no-wait", flags->no_wait, "Do not wait until it is done");
  subcommand->footer(fmt::format("Example: berth engines {} xllamacpp", name));
}

using PlainAction = Result<void> (*)(const CommonOptions&);

void add_plain_command(CLI::App& engines, const CommonOptions& common, Command& command,
                       const char* name, const char* text, PlainAction action) {
  auto* subcommand = engines.add_subcommand(name, text);
  subcommand->footer(fmt::format("Example: berth engines {}", name));
  subcommand->callback([&common, &command, action] {
    command = [&common, action] {
      const auto result = action(common);
      return result ? kDone : report(result.error());
    };
  });
}

}  // namespace

void add_engines(CLI::App& app, const CommonOptions& common, Command& command) {
  auto* engines = app.add_subcommand("engines", "Show, install and remove engine packs");
  engines->require_subcommand(1);
  engines->footer("Example: berth engines list");
  add_plain_command(*engines, common, command, "list", "Show the packs of every worker", list);
  add_pack_command(*engines, common, command, "install", "Install a pack on the workers", install);
  add_pack_command(*engines, common, command, "rm", "Remove a pack from the workers", remove);
  add_plain_command(*engines, common, command, "prune",
                    "Remove this machine's outdated packs, leftovers and download cache", prune);
}

}  // namespace berth::app
