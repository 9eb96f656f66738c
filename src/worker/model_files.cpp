#include "worker/model_files.h"

#include "base/files.h"
#include "base/json.h"

#include <algorithm>
#include <set>

#include <spdlog/spdlog.h>

namespace berth::worker {
namespace {

using model::FilesState;

constexpr std::chrono::hours kLongSleep{1};

// Whether it may be over after a while, whatever anybody does.
bool may_pass(const Error& error) {
  return error.code == ErrorCode::unavailable || error.code == ErrorCode::timeout ||
         error.code == ErrorCode::resource_exhausted;
}

model::FilesStatus first_status(const model::RepositoryFiles& files) {
  return {.key = model::files_key(files),
          .source = files.source,
          .hub = files.hub,
          .repository = files.repository,
          .commit = files.commit,
          .state = FilesState::queued,
          .reason = "waits for its turn",
          .file = "",
          .from = "",
          .done = {},
          .total = model::total_size(files),
          .per_second = {},
          .seconds_left = std::nullopt,
          .folder = "",
          .asked_at = ""};
}

void enter(model::FilesStatus& status, FilesState state, std::string reason = {}) {
  status.state = state;
  status.reason = std::move(reason);
  status.file.clear();
  status.from.clear();
  status.per_second = {};
  status.seconds_left.reset();
}

std::filesystem::path note_path(const std::filesystem::path& folder, const std::string& key) {
  return folder / (key + ".json");
}

Result<model::FetchNote> read_note(const std::filesystem::path& path) {
  BERTH_TRY(const auto text, read_file(path));
  BERTH_TRY(const auto value, parse_json(text));
  return from_json<model::FetchNote>(value, UnknownMembers::ignore);
}

void call(const std::vector<std::function<void()>>& calls) {
  for (const auto& one : calls) one();
}

}  // namespace

// Files of one model. Under the lock, but for what never changes.
struct ModelFiles::Task {
  explicit Task(const model::RepositoryFiles& wanted)
      : files(wanted), status(first_status(wanted)) {}

  [[nodiscard]] bool is_wanted() const { return keep || !tickets.empty(); }
  void begin_anew() {
    enter(status, FilesState::queued, "waits for its turn");
    not_before = {};
    pause = {};
  }

  const model::RepositoryFiles files;
  model::FilesStatus status;
  std::set<Ticket*> tickets;
  bool keep = false;  // somebody's wish, whoever needs them
  bool paused = false;
  bool running = false;
  std::stop_source stop;  // of what runs
  SteadyTime not_before;
  Duration pause{0};  // before the next attempt after a failure
};

ModelFiles::Ticket::~Ticket() {
  const std::scoped_lock lock(owner_.mutex_);
  const auto found = owner_.tasks_.find(key_);
  if (found == owner_.tasks_.end()) return;
  found->second->tickets.erase(this);
  owner_.let_go(key_);
}

std::optional<ModelFiles::Outcome> ModelFiles::Ticket::outcome() const {
  const std::scoped_lock lock(owner_.mutex_);
  return outcome_;
}

model::FilesStatus ModelFiles::Ticket::status() const {
  const std::scoped_lock lock(owner_.mutex_);
  return owner_.tasks_.at(key_)->status;
}

ModelFiles::ModelFiles(ModelFilesOptions options) : options_(std::move(options)) {
  for (std::size_t i = 0; i < options_.at_once; ++i) {
    threads_.emplace_back([this](const std::stop_token& stop) { run(stop); });
  }
}

ModelFiles::~ModelFiles() {
  {
    const std::scoped_lock lock(mutex_);
    for (auto& [key, task] : tasks_) task->stop.request_stop();
  }
  for (auto& thread : threads_) thread.request_stop();
  changed_.notify_all();
}

std::shared_ptr<ModelFiles::Ticket> ModelFiles::want(const model::RepositoryFiles& files,
                                                     std::function<void()> on_end) {
  std::shared_ptr<Ticket> ticket(new Ticket(*this, model::files_key(files)));
  {
    const std::scoped_lock lock(mutex_);
    Task& task = task_of(files);
    // What was ready may have been removed by others since.
    const bool is_over =
        task.status.state == FilesState::ready || task.status.state == FilesState::failed;
    if (is_over) task.begin_anew();
    ticket->on_end_ = std::move(on_end);
    task.tickets.insert(ticket.get());
  }
  changed_.notify_all();
  options_.on_change();
  return ticket;
}

void ModelFiles::set_requests(const std::vector<model::FileRequest>& requests) {
  {
    const std::scoped_lock lock(mutex_);
    std::set<std::string> there;
    for (const auto& request : requests) there.insert(model::files_key(request.files));
    std::vector<std::string> gone;
    for (const auto& [key, task] : tasks_) {
      if (!there.contains(key)) gone.push_back(key);
    }
    for (const auto& key : gone) {
      Task& task = *tasks_.at(key);
      task.keep = false;
      pause_or_resume(task, false);
      let_go(key);
    }
    for (const auto& request : requests) take(request);
  }
  changed_.notify_all();
  options_.on_change();
}

void ModelFiles::set_request(const model::FileRequest& request) {
  {
    const std::scoped_lock lock(mutex_);
    take(request);
  }
  changed_.notify_all();
  options_.on_change();
}

void ModelFiles::drop_request(const model::RepositoryFiles& files) {
  {
    const std::scoped_lock lock(mutex_);
    const auto found = tasks_.find(model::files_key(files));
    if (found == tasks_.end()) return;
    found->second->keep = false;
    pause_or_resume(*found->second, false);
    let_go(found->first);
  }
  changed_.notify_all();
  options_.on_change();
}

std::vector<model::FilesStatus> ModelFiles::list() const {
  std::vector<model::FilesStatus> all;
  {
    const std::scoped_lock lock(mutex_);
    for (const auto& [key, task] : tasks_) {
      if (task->is_wanted()) all.push_back(task->status);
    }
  }
  std::ranges::sort(all, {}, &model::FilesStatus::source);
  return all;
}

Result<Bytes> ModelFiles::remove(const model::RepositoryFiles& files) {
  const std::string key = model::files_key(files);
  {
    const std::scoped_lock lock(mutex_);
    if (const auto found = tasks_.find(key); found != tasks_.end()) {
      return fail(ErrorCode::conflict, "{} is {}; remove it once nobody needs it any more",
                  files.source,
                  found->second->is_wanted() ? "needed on this worker" : "being let go");
    }
  }
  BERTH_TRY(const Bytes freed, options_.remove(files));
  std::error_code ignored;
  std::filesystem::remove(note_path(options_.notes, key), ignored);
  return freed;
}

std::optional<model::RepositoryFiles> ModelFiles::find(const std::string& key) const {
  if (!model::is_files_key(key)) return std::nullopt;
  {
    const std::scoped_lock lock(mutex_);
    const auto found = tasks_.find(key);
    if (found != tasks_.end() && found->second->status.state == FilesState::ready) {
      return found->second->files;
    }
  }
  auto note = read_note(note_path(options_.notes, key));
  if (!note || model::files_key(note->files) != key) return std::nullopt;
  return std::move(note->files);
}

std::vector<model::FetchNote> ModelFiles::notes() const {
  std::vector<model::FetchNote> notes;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(options_.notes, error)) {
    if (entry.path().extension() != ".json") continue;
    if (auto note = read_note(entry.path())) notes.push_back(*std::move(note));
  }
  return notes;
}

// ---- under the lock

ModelFiles::Task& ModelFiles::task_of(const model::RepositoryFiles& files) {
  auto& task = tasks_[model::files_key(files)];
  if (!task) task = std::make_shared<Task>(files);
  return *task;
}

void ModelFiles::take(const model::FileRequest& request) {
  const auto key = model::files_key(request.files);
  if (!request.keep && !request.paused && !tasks_.contains(key)) return;
  Task& task = task_of(request.files);
  task.keep = request.keep;
  const bool asked_anew = task.status.asked_at != request.at;
  task.status.asked_at = request.at;
  if (asked_anew && task.status.state == FilesState::failed) task.begin_anew();
  pause_or_resume(task, request.paused);
  let_go(key);
}

// Ends what nobody wants any more. A pause without a wish stays known for who comes next.
void ModelFiles::let_go(const std::string& key) {
  const auto found = tasks_.find(key);
  if (found == tasks_.end() || found->second->is_wanted()) return;
  found->second->stop.request_stop();
  if (!found->second->running && !found->second->paused) tasks_.erase(found);
}

void ModelFiles::pause_or_resume(Task& task, bool paused) {
  task.paused = paused;
  const bool is_over =
      task.status.state == FilesState::ready || task.status.state == FilesState::failed;
  if (paused && !is_over) {
    task.stop.request_stop();
    enter(task.status, FilesState::paused, "go on with: berth files resume " + task.files.source);
  } else if (!paused && task.status.state == FilesState::paused) {
    task.begin_anew();
  }
}

// The next to be fetched, or null and when to look again.
std::shared_ptr<ModelFiles::Task> ModelFiles::find_work(SteadyTime& until) {
  const SteadyTime now = std::chrono::steady_clock::now();
  until = now + kLongSleep;
  for (const auto& [key, task] : tasks_) {
    const bool waits = !task->running && !task->paused && task->is_wanted() &&
                       task->status.state == FilesState::queued;
    if (!waits) continue;
    if (task->not_before <= now) return task;
    until = std::min(until, task->not_before);
  }
  return nullptr;
}

// ---- on the threads

void ModelFiles::run(const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    std::shared_ptr<Task> task;
    {
      std::unique_lock lock(mutex_);
      SteadyTime until;
      task = find_work(until);
      if (!task) {
        changed_.wait_until(lock, stop, until, [&] {
          SteadyTime next;
          return find_work(next) != nullptr || next < until;
        });
        continue;
      }
      task->running = true;
      task->stop = std::stop_source();
      enter(task->status, FilesState::downloading);
    }
    options_.on_change();
    fetch(task);
    // What was let go, or has to wait, while it ran.
    changed_.notify_all();
  }
}

void ModelFiles::fetch(const std::shared_ptr<Task>& task) {
  sources::FetchOptions options;
  {
    const std::scoped_lock lock(mutex_);
    options.stop = task->stop.get_token();
  }
  options.on_progress = [&](const sources::FetchProgress& progress) { show(*task, progress); };
  auto outcome = options_.fetch(task->files, options);
  if (outcome) write_note(*task, *outcome);
  Calls calls;
  {
    const std::scoped_lock lock(mutex_);
    task->running = false;
    take_outcome(*task, std::move(outcome), calls);
    let_go(task->status.key);
  }
  call(calls);
  options_.on_change();
}

void ModelFiles::take_outcome(Task& task, Outcome outcome, Calls& calls) {
  auto& status = task.status;
  const bool passes = !outcome && may_pass(outcome.error());
  if (!outcome && outcome.error().code == ErrorCode::cancelled) {
    if (!task.paused) task.begin_anew();  // wanted again before it had ended
    return;
  }
  if (passes) {
    task.pause = task.pause == Duration(0)
                     ? options_.first_pause
                     : std::min<Duration>(task.pause * 2, options_.longest_pause);
    const Duration pause = sources::with_jitter(task.pause);
    task.not_before = std::chrono::steady_clock::now() + pause;
    if (!task.paused) enter(status, FilesState::queued, outcome.error().to_string());
    spdlog::warn("{}: {}; next attempt in {}", task.files.source, outcome.error().to_string(),
                 duration_text(pause));
    return;
  }
  if (outcome) {
    enter(status, FilesState::ready);
    status.done = status.total;
    status.folder = outcome->folder.string();
  } else {
    enter(status, FilesState::failed, outcome.error().to_string());
    spdlog::error("{}", outcome.error().to_string());
  }
  task.pause = {};
  for (Ticket* ticket : task.tickets) {
    ticket->outcome_ = outcome;
    if (ticket->on_end_) calls.push_back(ticket->on_end_);
  }
}

void ModelFiles::show(Task& task, const sources::FetchProgress& progress) {
  {
    const std::scoped_lock lock(mutex_);
    auto& status = task.status;
    if (task.paused) return;
    status.state = progress.phase == sources::FetchPhase::verifying ? FilesState::verifying
                                                                    : FilesState::downloading;
    status.reason =
        progress.phase == sources::FetchPhase::waiting ? "somebody else downloads it" : "";
    status.file = progress.file;
    status.from = progress.from;
    status.done = progress.done;
    status.total = progress.total;
    status.per_second = progress.per_second;
    status.seconds_left.reset();
    if (progress.per_second.count > 0) {
      status.seconds_left = (progress.total - progress.done).count / progress.per_second.count;
    }
  }
  options_.on_change();
}

// Of what Berth fetched; what others put there is theirs to remove. A note that can not be written
// is no reason to do without the files.
void ModelFiles::write_note(const Task& task, const sources::LocalFiles& files) const {
  const auto path = note_path(options_.notes, model::files_key(task.files));
  const std::string now = to_rfc3339(real_clock().system_now());
  model::FetchNote note{.files = task.files, .folder = files.folder.string(), .fetched_at = now};
  const auto before = read_note(path);
  if (!before && !files.was_fetched) return;
  if (before) note.fetched_at = before->fetched_at;
  note.used_at = now;
  std::error_code error;
  std::filesystem::create_directories(options_.notes, error);
  const auto written = write_file_atomic(path, to_text(to_json(note)), 0600);
  if (!written) spdlog::warn("{}", written.error().to_string());
}

}  // namespace berth::worker
