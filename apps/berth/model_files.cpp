// berth files: the files of models on hubs, on the workers.
#include "api_client.h"
#include "api_views.h"
#include "command.h"
#include "terminal.h"
#include "wait.h"

#include <algorithm>
#include <memory>
#include <thread>

#include <fmt/format.h>

namespace berth::app {
namespace {

using model::FilesState;

constexpr std::chrono::milliseconds kLook{500};
// Listing a hub and reading headers there.
constexpr std::chrono::minutes kChoicePatience{2};
constexpr std::chrono::minutes kRemovalPatience{2};

struct FileFlags {
  std::string source;
  std::string worker;
  bool everywhere = false;
  bool no_wait = false;
  std::string older_than;
  std::string keep;
  bool others = false;
  bool dry_run = false;
};

struct FileRow {
  Cell worker, source, state, size, used, age, about;
};
BOOST_DESCRIBE_STRUCT(FileRow, (), (worker, source, state, size, used, age, about))

Style style_of(FilesState state) {
  switch (state) {
    case FilesState::ready:
      return Style::good;
    case FilesState::failed:
      return Style::bad;
    case FilesState::paused:
      return Style::faint;
    default:
      return Style::busy;
  }
}

model::FilesStatus status_of(const FileView& view) {
  return {.source = view.source,
          .state = view.state,
          .reason = view.reason,
          .file = view.file,
          .from = view.from,
          .done = view.done,
          .total = view.size,
          .per_second = view.per_second,
          .seconds_left = view.seconds_left};
}

std::string about(const FileView& view) {
  if (view.state == FilesState::downloading || view.state == FilesState::verifying) {
    return model::describe(status_of(view));
  }
  if (view.state != FilesState::ready) return view.reason;
  std::string text = counted(view.files, "file");
  if (!view.fetched) text += ", put there by others";
  if (!view.writable) text += ", only read";
  return text;
}

FileRow row_of(const FileView& view, SystemTime now) {
  return {.worker = view.worker,
          .source = view.source,
          .state = {std::string(enum_name(view.state)), style_of(view.state)},
          .size = to_string(view.size),
          .used = fmt::format("{}", fmt::join(view.used_by, ", ")),
          .age = age_of(view.used_at, now),
          .about = about(view)};
}

std::string on_worker(const FileFlags& flags) {
  return flags.worker.empty() ? "" : "?worker=" + net::percent_encode(flags.worker);
}

Result<json::value> fetch_list(const ApiClient& client, const FileFlags& flags) {
  return client.get("/api/v1/files" + on_worker(flags));
}

Result<void> list(const CommonOptions& common, const FileFlags& flags) {
  BERTH_TRY(const auto client, ApiClient::connect(common));
  BERTH_TRY(const auto answer, fetch_list(client, flags));
  if (common.json) {
    print_json(answer);
    return {};
  }
  BERTH_TRY(const auto views, read_items<FileView>(answer));
  std::vector<FileRow> rows;
  rows.reserve(views.size());
  for (const auto& view : views) rows.push_back(row_of(view, real_clock().system_now()));
  print_table(rows);
  return {};
}

// Until all workers have them. The files were chosen by the server: `wanted` are its words.
Result<void> wait_until_there(const ApiClient& client, const std::vector<FilesAsked>& wanted) {
  Progress progress;
  for (;;) {
    BERTH_TRY(const auto answer, client.get("/api/v1/files"));
    BERTH_TRY(const auto views, read_items<FileView>(answer));
    bool done = true;
    for (const auto& asked : wanted) {
      const auto found = std::ranges::find_if(views, [&](const FileView& view) {
        return view.worker == asked.worker && view.source == asked.source &&
               view.commit == asked.commit && view.asked_at == asked.asked_at;
      });
      if (found == views.end()) {
        done = false;
        progress.show(fmt::format("{}: waiting for {}", asked.source, asked.worker));
        continue;
      }
      if (found->state == FilesState::ready) continue;
      if (found->state == FilesState::failed) {
        return fail(ErrorCode::unavailable, "on {}: {}", asked.worker, found->reason);
      }
      done = false;
      progress.show(
          fmt::format("{} on {}: {}", asked.source, asked.worker, enum_name(found->state)),
          fmt::format("({})", about(*found)));
    }
    if (done) return {};
    std::this_thread::sleep_for(kLook);
  }
}

Result<void> get(const CommonOptions& common, const FileFlags& flags) {
  BERTH_TRY(const auto client, ApiClient::connect(common));
  json::object wish{{"source", flags.source}, {"everywhere", flags.everywhere}};
  if (!flags.worker.empty()) wish["worker"] = flags.worker;
  BERTH_TRY(const auto answer, client.post("/api/v1/files", wish, kChoicePatience));
  BERTH_TRY(const auto wanted, read_items<FilesAsked>(answer));
  if (!flags.no_wait) BERTH_CHECK(wait_until_there(client, wanted));
  if (common.json) {
    print_json(answer);
    return {};
  }
  for (const auto& asked : wanted) {
    fmt::print("{} ({}, {}) {} {}\n", asked.source, counted(asked.files.size(), "file"), asked.size,
               flags.no_wait ? "is being fetched to" : "is on", asked.worker);
  }
  return {};
}

std::string target_of(const FileFlags& flags) {
  return "/api/v1/files/" + net::percent_encode(flags.source);
}

Result<json::value> set_paused(const ApiClient& client, const FileFlags& flags, bool paused) {
  json::object wish{{"paused", paused}};
  if (!flags.worker.empty()) wish["worker"] = flags.worker;
  return client.patch(target_of(flags), wish);
}

Result<void> pause(const CommonOptions& common, const FileFlags& flags) {
  BERTH_TRY(const auto client, ApiClient::connect(common));
  BERTH_TRY(const auto answer, set_paused(client, flags, true));
  return finish(
      common, answer,
      fmt::format("{} waits; berth files resume {} lets it go on", flags.source, flags.source));
}

Result<void> resume(const CommonOptions& common, const FileFlags& flags) {
  BERTH_TRY(const auto client, ApiClient::connect(common));
  BERTH_TRY(const auto answer, set_paused(client, flags, false));
  return finish(common, answer, fmt::format("{} goes on; see berth files", flags.source));
}

Result<void> remove(const CommonOptions& common, const FileFlags& flags) {
  BERTH_TRY(const auto client, ApiClient::connect(common));
  BERTH_TRY(const auto answer, client.del(target_of(flags) + on_worker(flags)));
  BERTH_TRY(const auto removed, read_answer<FilesRemoved>(answer));
  return finish(common, answer, fmt::format("{}: {} freed", flags.source, removed.freed));
}

Result<void> prune(const CommonOptions& common, const FileFlags& flags) {
  json::object wish{{"others", flags.others}, {"dry_run", flags.dry_run}};
  if (!flags.worker.empty()) wish["worker"] = flags.worker;
  if (!flags.older_than.empty()) {
    BERTH_TRY(const auto age, parse_duration(flags.older_than, "--older-than"));
    wish["older_than"] = std::chrono::duration_cast<std::chrono::seconds>(age).count();
  }
  if (!flags.keep.empty()) {
    BERTH_TRY(const Bytes keep, parse_bytes(flags.keep));
    wish["keep"] = keep.count;
  }
  BERTH_TRY(const auto client, ApiClient::connect(common));
  BERTH_TRY(const auto answer, client.post("/api/v1/prune/files", wish, kRemovalPatience));
  BERTH_TRY(const auto pruned, read_answer<FilesPruned>(answer));
  if (common.json) {
    print_json(answer);
  } else {
    for (const auto& view : pruned.items) {
      fmt::print("{} on {}: {}\n", view.source, view.worker, view.size);
    }
    fmt::print("{} {}\n", pruned.freed, flags.dry_run ? "would be freed" : "freed");
  }
  if (pruned.errors.empty()) return {};
  return fail(ErrorCode::unavailable, "not all of it could be removed: {}",
              fmt::join(pruned.errors, "; "));
}

using Action = Result<void> (*)(const CommonOptions&, const FileFlags&);

// The subcommand, with the worker's flag.
CLI::App* add_one(CLI::App& files, const CommonOptions& common, Command& command, const char* name,
                  const char* text, Action action, const std::shared_ptr<FileFlags>& flags) {
  auto* subcommand = add_action(files, common, command, flags, name, text, action);
  subcommand->add_option("--worker", flags->worker, "Only on this worker");
  return subcommand;
}

CLI::App* add_with_source(CLI::App& files, const CommonOptions& common, Command& command,
                          const char* name, const char* text, Action action,
                          const std::shared_ptr<FileFlags>& flags) {
  auto* subcommand = add_one(files, common, command, name, text, action, flags);
  subcommand->add_option("SOURCE", flags->source, "The model's name on a hub (hf:ORG/NAME:QUANT)")
      ->required();
  subcommand->footer(fmt::format("Example: berth files {} hf:org/name-GGUF:Q4_K_M", name));
  return subcommand;
}

}  // namespace

void add_files(CLI::App& app, const CommonOptions& common, Command& command) {
  auto* files = app.add_subcommand(
      "files", "Show, fetch and remove the files of models on hubs, on the workers");
  files->require_subcommand(1);
  files->footer("Example: berth files list");
  const auto flags = std::make_shared<FileFlags>();
  add_one(*files, common, command, "list", "Show which worker has what, and who uses it", list,
          flags)
      ->footer("Example: berth files list --worker box1");
  auto* fetch = add_with_source(*files, common, command, "get",
                                "Fetch a model's files to a worker, and keep them", get, flags);
  fetch->add_flag("--everywhere", flags->everywhere, "To every worker");
  fetch->add_flag("--no-wait", flags->no_wait, "Do not wait until they are there");
  add_with_source(*files, common, command, "pause", "Let a download wait", pause, flags);
  add_with_source(*files, common, command, "resume", "Let it go on", resume, flags);
  add_with_source(*files, common, command, "rm", "Cancel a download, or remove its files", remove,
                  flags);
  auto* pruning = add_one(*files, common, command, "prune",
                          "Remove what Berth downloaded and no model uses", prune, flags);
  pruning->add_option("--older-than", flags->older_than,
                      "Only what nothing began with for so long, such as 12h or 30d");
  pruning->add_option("--keep", flags->keep,
                      "So much may stay on each worker, such as 100GiB; the last used first");
  pruning->add_flag("--others", flags->others, "Also what other programs downloaded");
  pruning->add_flag("--dry-run", flags->dry_run, "Only show what would go");
  pruning->footer("Example: berth files prune --older-than 30d --keep 100GiB");
}

}  // namespace berth::app
