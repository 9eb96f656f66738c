#include "server/judges.h"

#include "sources/remote_profile.h"
#include "store/typed.h"

#include <algorithm>
#include <tuple>

namespace berth::server {

bool can_judge(const model::PackStatus& status, std::string_view backend) {
  return status.state == model::PackState::installed && status.pack.backend == backend &&
         !status.pack.judge.empty();
}

std::optional<model::Worker> worker_that_judges(const std::vector<model::Worker>& workers,
                                                std::string_view backend) {
  const auto judges = [&](const model::PackStatus& status) { return can_judge(status, backend); };
  const model::Worker* best = nullptr;
  for (const auto& worker : workers) {
    if (worker.state != model::WorkerState::ready || !std::ranges::any_of(worker.packs, judges)) {
      continue;
    }
    if (best == nullptr ||
        std::tie(best->local, worker.name) < std::tie(worker.local, best->name)) {
      best = &worker;
    }
  }
  if (best == nullptr) return std::nullopt;
  return *best;
}

model::ComputeTable judge_found(ServerContext& context, const FoundModel& found,
                                cluster::JudgeRequest request) {
  const bool is_remote = found.files || sources::is_remote(request.deployment.source);
  if (!is_remote) return judge_model(context, found, request);
  const auto stored = store::list_as<model::Worker>(context.store, model::kWorkerKind);
  if (!stored) return {};
  std::vector<model::Worker> workers;
  workers.reserve(stored->items.size());
  for (const auto& item : stored->items) {
    workers.push_back(item.value);
    if (const auto packs = context.workers.packs(item.name); packs && !packs->empty()) {
      workers.back().packs = *packs;
    }
  }
  request.files = found.files;
  return judge_model(
      context, {.profile = {}, .worker = worker_that_judges(workers, request.backend)}, request);
}

}  // namespace berth::server
