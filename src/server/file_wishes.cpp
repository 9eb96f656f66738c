#include "server/file_wishes.h"

#include "base/log.h"
#include "server/model_files.h"
#include "sources/hub/name.h"
#include "store/typed.h"

#include <algorithm>
#include <thread>

namespace berth::server {
namespace {

// A worker lets go of a download within about a second.
constexpr std::chrono::seconds kLetGoPatience{10};
constexpr std::chrono::milliseconds kLook{200};

Result<std::vector<model::Worker>> workers_named(ServerContext& context,
                                                 const std::optional<std::string>& only) {
  BERTH_TRY(auto stored, store::list_as<model::Worker>(context.store, model::kWorkerKind));
  std::vector<model::Worker> workers;
  for (auto& item : stored.items) {
    if (!only || item.name == *only) workers.push_back(std::move(item.value));
  }
  if (only && workers.empty()) {
    return fail(make_error(ErrorCode::not_found,
                           "there is no worker named \"{}\"; see berth workers", *only)
                    .with_field("worker"));
  }
  return workers;
}

template <class T>
Result<std::vector<T>> all_of(ServerContext& context, std::string_view kind) {
  BERTH_TRY(auto stored, store::list_as<T>(context.store, kind));
  std::vector<T> values;
  values.reserve(stored.items.size());
  for (auto& item : stored.items) values.push_back(std::move(item.value));
  return values;
}

Result<std::string> normalised(const std::string& source) {
  BERTH_TRY(const auto name, sources::parse_hub_name(source));
  return sources::to_text(name);
}

Result<void> write(ServerContext& context, const model::FileRequest& request) {
  BERTH_CHECK(
      context.store.commit({{.kind = std::string(model::kFileRequestKind),
                             .name = model::file_request_name(request.worker, request.files),
                             .data = store::to_data(request)}}));
  return {};
}

// Not being there is no error.
Result<void> forget(ServerContext& context, const std::string& worker,
                    const model::RepositoryFiles& files) {
  auto removed =
      context.store.remove(model::kFileRequestKind, model::file_request_name(worker, files));
  if (!removed && removed.error().code != ErrorCode::not_found) return fail(removed.error());
  return {};
}

// The instances on this worker that need the files, as "a, b".
Result<std::string> instances_with(ServerContext& context, const FileView& view) {
  BERTH_TRY(const auto instances, all_of<model::Instance>(context, model::kInstanceKind));
  std::vector<std::string> names;
  for (const auto& instance : instances) {
    const bool uses = instance.placement && instance.placement->worker == view.worker &&
                      std::ranges::find(view.used_by, instance.model) != view.used_by.end();
    if (uses) names.push_back(instance.name);
  }
  return fmt::format("{}", fmt::join(names, ", "));
}

Result<Bytes> remove_set(ServerContext& context, const FileSet& set) {
  const auto& view = set.view;
  BERTH_TRY(const auto users, instances_with(context, view));
  if (!users.empty()) {
    return fail(ErrorCode::conflict,
                "{} is in use on {} by {}; stop or remove {} first (berth stop, berth rm)",
                view.source, view.worker, users, fmt::format("{}", fmt::join(view.used_by, ", ")));
  }
  if (set.files.files.empty()) return Bytes{};
  BERTH_CHECK(forget(context, view.worker, set.files));
  BERTH_TRY(const auto workers, workers_named(context, view.worker));
  const SteadyTime deadline = std::chrono::steady_clock::now() + kLetGoPatience;
  for (;;) {
    auto freed = context.caller.ask_to_remove(workers.front(), set.files);
    if (freed) return freed->freed;
    const bool may_pass = freed.error().code == ErrorCode::conflict &&
                          std::chrono::steady_clock::now() < deadline &&
                          !context.ending.stop_requested();
    if (!may_pass) {
      return fail(std::move(freed).error().context("{} could not be removed from {}", view.source,
                                                   view.worker));
    }
    std::this_thread::sleep_for(kLook);
  }
}

// Those of this source.
Result<std::vector<FileSet>> find_source(ServerContext& context, const std::string& source,
                                         const std::optional<std::string>& worker) {
  BERTH_TRY(const auto name, normalised(source));
  BERTH_TRY(auto sets, look_at_files(context, worker));
  std::erase_if(sets, [&](const FileSet& set) { return set.view.source != name; });
  if (sets.empty()) {
    return fail(make_error(ErrorCode::not_found, "{} is on no worker{}; see berth files", name,
                           worker ? " of that name" : "")
                    .with_field("source"));
  }
  return sets;
}

// The model's own files and the projector that goes with it.
Result<model::RepositoryFiles> files_on_hub(ServerContext& context, const std::string& source) {
  BERTH_TRY(auto found, find_model_at(context, source));
  const auto& projectors = found.profile.projectors;
  auto files = *std::move(found.files);
  std::erase_if(files.files, [&](const model::RepositoryFile& file) {
    const auto projector = std::ranges::find(projectors, file.path, &model::Projector::path);
    return projector != projectors.end() && !projector->chosen;
  });
  files.source = source;
  return files;
}

}  // namespace

Result<std::vector<FileSet>> look_at_files(ServerContext& context,
                                           const std::optional<std::string>& worker) {
  BERTH_TRY(const auto workers, workers_named(context, worker));
  BERTH_TRY(const auto models, all_of<model::Model>(context, model::kModelKind));
  BERTH_TRY(const auto requests, all_of<model::FileRequest>(context, model::kFileRequestKind));
  std::vector<FileSet> all;
  for (const auto& one : workers) {
    WorkerFiles of{.worker = one.name};
    for (const auto& request : requests) {
      if (request.worker == one.name) of.requests.push_back(request);
    }
    if (const auto latest = context.workers.find(one.name)) of.statuses = latest->files;
    if (one.state == model::WorkerState::ready) {
      if (auto cached = context.caller.ask_for_files(one)) {
        of.cached = *std::move(cached);
      } else {
        log_error_sparingly(
            fmt::format("the files on the worker {}: {}", one.name, cached.error().to_string()));
      }
    }
    std::ranges::move(find_sets(of, models), std::back_inserter(all));
  }
  return all;
}

Result<std::vector<model::FileRequest>> want_files(ServerContext& context, const FileWish& wish) {
  if (wish.worker && wish.everywhere) {
    return fail(make_error(ErrorCode::invalid_parameter,
                           "worker and everywhere can not stand together; leave one out")
                    .with_field("worker"));
  }
  BERTH_TRY(const auto source, normalised(wish.source));
  BERTH_TRY(const auto workers, workers_named(context, wish.worker));
  if (workers.empty()) {
    return fail(ErrorCode::unavailable, "no worker has joined yet; try again in a moment");
  }
  if (workers.size() != 1 && !wish.everywhere) {
    return fail(make_error(ErrorCode::invalid_parameter,
                           "there are {} workers; name the one that is meant (--worker), or all of "
                           "them (--everywhere)",
                           workers.size())
                    .with_field("worker"));
  }
  BERTH_TRY(const auto files, files_on_hub(context, source));
  std::vector<model::FileRequest> requests;
  requests.reserve(workers.size());
  for (const auto& worker : workers) {
    requests.push_back({.worker = worker.name,
                        .files = files,
                        .keep = true,
                        .paused = false,
                        .at = to_rfc3339(context.clock.system_now())});
    BERTH_CHECK(write(context, requests.back()));
  }
  return requests;
}

Result<std::size_t> pause_files(ServerContext& context, const std::string& source,
                                const std::optional<std::string>& worker, bool paused) {
  BERTH_TRY(const auto sets, find_source(context, source, worker));
  std::size_t count = 0;
  for (const auto& set : sets) {
    using model::FilesState;
    const auto state = set.view.state;
    const bool is_meant = paused ? state != FilesState::ready && state != FilesState::failed
                                 : state == FilesState::paused || state == FilesState::failed;
    if (!is_meant || set.files.files.empty()) continue;
    ++count;
    if (!paused && !set.view.kept) {
      BERTH_CHECK(forget(context, set.view.worker, set.files));
      continue;
    }
    BERTH_CHECK(write(context, {.worker = set.view.worker,
                                .files = set.files,
                                .keep = set.view.kept,
                                .paused = paused,
                                .at = to_rfc3339(context.clock.system_now())}));
  }
  if (count != 0) return count;
  return fail(ErrorCode::conflict, "no download of {} is {}; see berth files",
              sets.front().view.source, paused ? "under way" : "paused");
}

Result<Bytes> remove_files(ServerContext& context, const std::string& source,
                           const std::optional<std::string>& worker) {
  BERTH_TRY(const auto sets, find_source(context, source, worker));
  Bytes freed;
  for (const auto& set : sets) {
    BERTH_TRY(const Bytes of_set, remove_set(context, set));
    freed += of_set;
  }
  return freed;
}

Result<Pruned> prune_files(ServerContext& context, const PruneWish& wish) {
  BERTH_TRY(const auto workers, workers_named(context, wish.worker));
  Pruned pruned;
  for (const auto& worker : workers) {
    BERTH_TRY(auto sets, look_at_files(context, worker.name));
    for (auto& set : choose_to_prune(std::move(sets), wish, context.clock.system_now())) {
      if (wish.dry_run) {
        pruned.freed += set.view.size;
        pruned.items.push_back(std::move(set.view));
        continue;
      }
      if (const auto freed = remove_set(context, set)) {
        pruned.freed += *freed;
        pruned.items.push_back(std::move(set.view));
      } else {
        pruned.errors.push_back(freed.error().to_string());
      }
    }
  }
  return pruned;
}

}  // namespace berth::server
