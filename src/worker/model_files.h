// ModelFiles: the files of hubs on this worker: what is wanted, what is being fetched, and how far
// it is.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "model/files_status.h"
#include "sources/cache/cache.h"

#include <condition_variable>
#include <cstddef>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

namespace berth::worker {

struct ModelFilesOptions {
  // sources::fetch_files and remove_cached, with this machine's places and the hubs' settings as
  // they are at that time. Called on several threads at once.
  std::function<Result<sources::LocalFiles>(const model::RepositoryFiles&,
                                            const sources::FetchOptions&)>
      fetch;
  std::function<Result<Bytes>(const model::RepositoryFiles&)> remove;
  std::filesystem::path notes;              // a folder of this worker's own, made when it is needed
  std::size_t at_once = 2;                  // models that are fetched at the same time
  Duration first_pause{2'000};              // before what failed for a while is tried again
  Duration longest_pause{300'000};          // it doubles up to this
  std::function<void()> on_change = [] {};  // on any thread: the list changed
};

// Thread-safe. The destructor ends what is under way within about a second; what came stays.
class ModelFiles {
 public:
  using Outcome = Result<sources::LocalFiles>;

  // Somebody who needs files: they are fetched as long as one is held. Outlived by its ModelFiles.
  class Ticket {
   public:
    ~Ticket();
    Ticket(const Ticket&) = delete;
    Ticket& operator=(const Ticket&) = delete;

    // Nothing while they are still being fetched. Failures that may pass are no outcome.
    [[nodiscard]] std::optional<Outcome> outcome() const;
    [[nodiscard]] model::FilesStatus status() const;

   private:
    friend class ModelFiles;
    Ticket(ModelFiles& owner, std::string key) : owner_(owner), key_(std::move(key)) {}

    ModelFiles& owner_;
    std::string key_;
    std::optional<Outcome> outcome_;  // under the owner's lock, as is on_end
    std::function<void()> on_end_;
  };

  explicit ModelFiles(ModelFilesOptions options);
  ~ModelFiles();
  ModelFiles(const ModelFiles&) = delete;
  ModelFiles& operator=(const ModelFiles&) = delete;

  // Fetches these files, where they are not here; `on_end` is called on any thread once there is an
  // outcome. Does not block.
  std::shared_ptr<Ticket> want(const model::RepositoryFiles& files, std::function<void()> on_end);

  // The wishes of people, as documents say them: all of them; one that came or changed; one that is
  // gone. Do not block.
  void set_requests(const std::vector<model::FileRequest>& requests);
  void set_request(const model::FileRequest& request);
  void drop_request(const model::RepositoryFiles& files);

  // All that is wanted, by source. Does not block.
  [[nodiscard]] std::vector<model::FilesStatus> list() const;

  // The files of a key, where they are ready or were fetched once. Blocks.
  [[nodiscard]] std::optional<model::RepositoryFiles> find(const std::string& key) const;

  // Removes the files and their note. Fails with conflict while they are wanted, else as
  // sources::remove_cached. Blocks.
  Result<Bytes> remove(const model::RepositoryFiles& files);

  // What was fetched; what can not be read is left out. Blocks.
  [[nodiscard]] std::vector<model::FetchNote> notes() const;

 private:
  struct Task;
  using Tasks = std::map<std::string, std::shared_ptr<Task>>;  // by key
  // What is to be told once the lock is free.
  using Calls = std::vector<std::function<void()>>;

  void run(const std::stop_token& stop);
  void fetch(const std::shared_ptr<Task>& task);
  void take_outcome(Task& task, Outcome outcome, Calls& calls);
  void show(Task& task, const sources::FetchProgress& progress);
  void write_note(const Task& task, const sources::LocalFiles& files) const;
  // Under the lock, all of them.
  Task& task_of(const model::RepositoryFiles& files);
  void take(const model::FileRequest& request);
  void let_go(const std::string& key);
  void pause_or_resume(Task& task, bool paused);
  std::shared_ptr<Task> find_work(SteadyTime& until);

  const ModelFilesOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable_any changed_;
  Tasks tasks_;
  std::vector<std::jthread> threads_;
};

}  // namespace berth::worker
