#include "server/rejudge.h"

#include "base/log.h"
#include "server/judges.h"
#include "sources/hub/name.h"

#include <algorithm>
#include <memory>
#include <set>
#include <utility>

#include <spdlog/spdlog.h>

namespace berth::server {
namespace {

// Between two tries of the same question; doubled by each failure, up to the longest.
constexpr std::chrono::minutes kPause(5);
constexpr std::chrono::minutes kLongestPause(60);

bool is_for_devices(const model::ComputeFigure& figure) {
  return figure.role != model::ComputeRole::cpu_alone &&
         figure.role != model::ComputeRole::projector_on_cpu;
}

bool has_devices(const model::ClusterView& view) {
  return std::ranges::any_of(view.workers(), [](const auto& entry) {
    return std::ranges::any_of(entry.second.devices, [](const model::DeviceView& one) {
      return one.device.kind != model::DeviceKind::cpu;
    });
  });
}

bool has_known_files(const model::Model& model) {
  if (model.files) return true;
  return !sources::is_hub_name(model.deployment.source) && !model.profile.files.empty();
}

// Of the packs that could measure the model.
std::vector<std::string> builds_for(const model::Model& model, const model::ClusterView& view) {
  std::set<std::string> builds;
  for (const auto& [name, worker] : view.workers()) {
    const bool reads = model.files || model.read_by.empty() || name == model.read_by;
    if (!reads || worker.state != model::WorkerState::ready) continue;
    for (const auto& status : worker.packs) {
      if (can_judge(status, model.backend) && !status.pack.build.empty()) {
        builds.insert(status.pack.build);
      }
    }
  }
  return {builds.begin(), builds.end()};
}

bool answers(const model::ComputeTable& table, const Rejudgement& question) {
  if (!std::ranges::binary_search(question.builds, table.build)) return false;
  return !question.devices || std::ranges::any_of(table.figures, is_for_devices);
}

// The ready worker that reads a file on disks: the one that did, or for the server the one beside
// it.
Result<std::optional<model::Worker>> find_reader(store::Store& store, const std::string& read_by) {
  BERTH_TRY(auto workers, store::list_as<model::Worker>(store, model::kWorkerKind));
  for (auto& item : workers.items) {
    const bool reads = read_by.empty() ? item.value.local : item.name == read_by;
    if (reads && item.value.state == model::WorkerState::ready) return std::move(item.value);
  }
  return std::nullopt;
}

}  // namespace

std::vector<Rejudgement> models_to_judge(const std::vector<store::Stored<model::Model>>& models,
                                         const model::ClusterView& view) {
  std::vector<Rejudgement> wanted;
  const bool devices = has_devices(view);
  for (const auto& [name, revision, model] : models) {
    if (model.deleting || !has_known_files(model)) continue;
    Rejudgement question{.model = name,
                         .created_at = model.created_at,
                         .generation = model.generation,
                         .builds = builds_for(model, view),
                         .devices = devices};
    if (question.builds.empty() || answers(model.compute, question)) continue;
    wanted.push_back(std::move(question));
  }
  return wanted;
}

Rejudging::Rejudging(const ServerContext& context)
    : context_(context), on_end_(context.ending, [this] { stop_.request_stop(); }) {
  context_.ending = stop_.get_token();
}

Rejudging::~Rejudging() {
  stop_.request_stop();
  wait();
}

void Rejudging::wait() {
  std::unique_lock lock(mutex_);
  idle_.wait(lock, [this] { return !busy_; });
}

bool Rejudging::is_due(const Rejudgement& question) const {
  const auto found = tries_.find(question.model);
  if (found == tries_.end() || found->second.question != question) return true;
  const Try& last = found->second;
  if (last.answered) return false;
  Duration pause = kPause;
  for (std::uint32_t i = 1; i < last.failures && pause < kLongestPause; ++i) pause *= 2;
  return context_.clock.steady_now() - last.since >= std::min<Duration>(pause, kLongestPause);
}

const Rejudgement* Rejudging::choose(const std::vector<Rejudgement>& wanted) const {
  const auto last_try = [&](const Rejudgement& question) {
    const auto found = tries_.find(question.model);
    return found == tries_.end() ? SteadyTime::min() : found->second.since;
  };
  const Rejudgement* chosen = nullptr;
  for (const auto& question : wanted) {
    if (!is_due(question)) continue;
    if (chosen == nullptr || last_try(question) < last_try(*chosen)) chosen = &question;
  }
  return chosen;
}

void Rejudging::look(const std::vector<store::Stored<model::Model>>& models,
                     const model::ClusterView& view) {
  const std::scoped_lock lock(mutex_);
  if (busy_ || stop_.stop_requested()) return;
  std::erase_if(tries_, [&](const auto& entry) {
    return std::ranges::find(models, entry.first, &store::Stored<model::Model>::name) ==
           models.end();
  });
  const auto wanted = models_to_judge(models, view);
  const auto* question = choose(wanted);
  if (question == nullptr) return;
  const auto model = std::ranges::find(models, question->model, &store::Stored<model::Model>::name);
  // Where the pool is full, the next look tries again.
  busy_ = context_.files_pool.try_post(
      [this, what = model->value, question = *question] { work(what, question); });
}

void Rejudging::work(const model::Model& model, const Rejudgement& question) {
  Result<bool> judged = false;
  try {
    if (!stop_.stop_requested()) judged = judge(model, question);
  } catch (const std::exception& thrown) {
    judged = fail(ErrorCode::internal, "{}", thrown.what());
  }
  if (!judged) {
    log_error_sparingly(fmt::format("the model {} could not be judged again: {}", question.model,
                                    judged.error().to_string()));
  }
  const std::scoped_lock lock(mutex_);
  Try& last = tries_[question.model];
  if (last.question != question) last = {.question = question, .failures = 0, .since = {}};
  last.answered = judged && *judged;
  last.failures = last.answered ? 0 : last.failures + 1;
  last.since = context_.clock.steady_now();
  busy_ = false;
  idle_.notify_all();
}

// False: nobody answered. The judges have logged why.
Result<bool> Rejudging::judge(const model::Model& model, const Rejudgement& question) {
  FoundModel found{.profile = model.profile, .worker = std::nullopt, .files = model.files};
  if (!found.files) {
    BERTH_TRY(found.worker, find_reader(context_.store, model.read_by));
  }
  auto table = judge_found(context_, found,
                           {.deployment = model.deployment,
                            .backend = model.backend,
                            .profile = model.profile,
                            .devices = question.devices});
  if (table.build.empty() || table.figures.empty()) return false;
  const auto stored = store::update<model::Model>(
      context_.store, model::kModelKind, question.model, [&](model::Model& now) {
        const bool is_same = now.created_at == question.created_at &&
                             now.generation == question.generation && !now.deleting;
        if (is_same) now.compute = table;
        return is_same;
      });
  if (!stored) {
    if (stored.error().code == ErrorCode::not_found) return true;  // it was removed meanwhile
    return fail(stored.error());
  }
  spdlog::info("the model {} was judged by a pack of build {}", question.model, table.build);
  return true;
}

void judge_when_possible(ServerContext& context) {
  const auto rejudging = std::make_shared<Rejudging>(context);
  context.control.look_on(
      [rejudging](const ClusterState& state) { rejudging->look(state.models, state.view); });
}

}  // namespace berth::server
