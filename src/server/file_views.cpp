#include "server/file_views.h"

#include "sources/hub/name.h"

#include <algorithm>
#include <map>
#include <set>

namespace berth::server {
namespace {

// What tells one state of a repository from another.
std::string repository_key(model::Hub hub, const std::string& repository,
                           const std::string& commit) {
  return fmt::format("{} {} {}", enum_name(hub), repository, commit);
}

// Whether the model was deployed from a path below this folder.
bool lies_in(const model::Model& model, const std::string& folder) {
  if (folder.empty() || model.files) return false;
  return std::ranges::any_of(model.profile.files, [&](const model::ModelFile& file) {
    return file.path.starts_with(folder + "/");
  });
}

std::vector<std::string> users_of(const FileView& view, const std::string& key,
                                  const std::vector<model::Model>& models) {
  std::vector<std::string> users;
  for (const auto& model : models) {
    const bool same = model.files && !key.empty() && model::files_key(*model.files) == key;
    // Of what others fetched Berth's names are not known: all of the repository counts.
    const bool in_repository = model.files && key.empty() && model.files->hub == view.hub &&
                               model.files->repository == view.repository;
    if (same || in_repository || lies_in(model, view.folder)) {
      users.push_back(model.deployment.name);
    }
  }
  return users;
}

class Sets {
 public:
  Sets(const WorkerFiles& of, const std::vector<model::Model>& models) : of_(of), models_(models) {
    for (const auto& repository : of.cached.repositories) {
      auto& files =
          there_[repository_key(repository.hub, repository.repository, repository.commit)];
      for (const auto& file : repository.files) files.insert(file.path);
    }
    for (const auto& request : of.requests) requests_[model::files_key(request.files)] = &request;
  }

  std::vector<FileSet> all() {
    std::map<std::string, const model::FetchNote*> notes;
    for (const auto& note : of_.cached.fetched) notes[model::files_key(note.files)] = &note;
    for (const auto& status : of_.statuses) {
      const auto note = notes.find(status.key);
      add_status(status, note == notes.end() ? nullptr : note->second);
    }
    for (const auto& [key, note] : notes) add_note(key, *note);
    for (const auto& repository : of_.cached.repositories) add_rest(repository);
    std::ranges::sort(sets_, {}, [](const FileSet& set) { return set.view.source; });
    return std::move(sets_);
  }

 private:
  void add(FileView view, model::RepositoryFiles files, const std::string& key) {
    view.worker = of_.worker;
    view.used_by = users_of(view, key, models_);
    const auto request = requests_.find(key);
    view.kept = request != requests_.end() && request->second->keep;
    view.files = files.files.size();
    sets_.push_back({.view = std::move(view), .files = std::move(files)});
  }

  void cover(const model::RepositoryFiles& files) {
    auto& covered = covered_[repository_key(files.hub, files.repository, files.commit)];
    for (const auto& file : files.files) covered.insert(file.path);
  }

  // The files behind a status: a request or a model has them.
  [[nodiscard]] const model::RepositoryFiles* files_of(const std::string& key) const {
    if (const auto request = requests_.find(key); request != requests_.end()) {
      return &request->second->files;
    }
    const auto found = std::ranges::find_if(models_, [&](const model::Model& model) {
      return model.files && model::files_key(*model.files) == key;
    });
    return found == models_.end() ? nullptr : &*found->files;
  }

  void add_status(const model::FilesStatus& status, const model::FetchNote* note) {
    shown_.insert(status.key);
    const auto* files = files_of(status.key);
    if (files == nullptr && note != nullptr) files = &note->files;
    if (files != nullptr) cover(*files);
    add({.source = status.source,
         .hub = status.hub,
         .repository = status.repository,
         .commit = status.commit,
         .state = status.state,
         .reason = status.reason,
         .file = status.file,
         .from = status.from,
         .size = status.total,
         .done = status.done,
         .per_second = status.per_second,
         .seconds_left = status.seconds_left,
         .folder = status.folder,
         .fetched = note != nullptr || status.state != model::FilesState::ready,
         .used_at = note == nullptr ? "" : note->used_at,
         .asked_at = status.asked_at},
        files == nullptr ? model::RepositoryFiles{} : *files, status.key);
  }

  void add_note(const std::string& key, const model::FetchNote& note) {
    const auto& files = note.files;
    const auto there = there_.find(repository_key(files.hub, files.repository, files.commit));
    const bool is_there =
        there != there_.end() && std::ranges::all_of(files.files, [&](const auto& file) {
          return there->second.contains(file.path);
        });
    if (!is_there || !shown_.insert(key).second) return;
    cover(files);
    const Bytes size = model::total_size(files);
    add({.source = files.source,
         .hub = files.hub,
         .repository = files.repository,
         .commit = files.commit,
         .size = size,
         .done = size,
         .folder = note.folder,
         .fetched = true,
         .used_at = note.used_at},
        files, key);
  }

  void add_rest(const model::CachedRepository& repository) {
    const auto& covered =
        covered_[repository_key(repository.hub, repository.repository, repository.commit)];
    model::RepositoryFiles rest{
        .source = sources::to_text({.hub = repository.hub, .repository = repository.repository}),
        .hub = repository.hub,
        .repository = repository.repository,
        .commit = repository.commit,
        .files = repository.files};
    std::erase_if(rest.files, [&](const auto& file) { return covered.contains(file.path); });
    if (rest.files.empty()) return;
    const Bytes size = model::total_size(rest);
    FileView view{.source = rest.source,
                  .hub = repository.hub,
                  .repository = repository.repository,
                  .commit = repository.commit,
                  .size = size,
                  .done = size,
                  .folder = repository.folder,
                  .writable = repository.writable,
                  .used_at = repository.changed_at};
    add(std::move(view), std::move(rest), "");
  }

  const WorkerFiles& of_;
  const std::vector<model::Model>& models_;
  std::map<std::string, std::set<std::string>> there_;    // paths by repository
  std::map<std::string, std::set<std::string>> covered_;  // of them, those that a view has
  std::map<std::string, const model::FileRequest*> requests_;
  std::set<std::string> shown_;
  std::vector<FileSet> sets_;
};

}  // namespace

std::vector<FileSet> find_sets(const WorkerFiles& of, const std::vector<model::Model>& models) {
  return Sets(of, models).all();
}

std::vector<FileSet> choose_to_prune(std::vector<FileSet> sets, const PruneWish& wish,
                                     SystemTime now) {
  std::erase_if(sets, [&](const FileSet& set) {
    const auto& view = set.view;
    return view.state != model::FilesState::ready || !view.used_by.empty() || !view.writable ||
           set.files.files.empty() || (!view.fetched && !wish.others);
  });
  // The last used first. RFC 3339 in UTC sorts as time does.
  std::ranges::sort(sets, std::ranges::greater(),
                    [](const FileSet& set) { return set.view.used_at; });
  if (wish.keep) {
    Bytes kept;
    const auto first = std::ranges::find_if(sets, [&](const FileSet& set) {
      kept += set.view.size;
      return kept > *wish.keep;
    });
    sets.erase(sets.begin(), first);
  }
  if (wish.older_than) {
    const auto oldest = to_rfc3339(now - std::chrono::seconds(*wish.older_than));
    std::erase_if(sets, [&](const FileSet& set) { return set.view.used_at >= oldest; });
  }
  return sets;
}

}  // namespace berth::server
