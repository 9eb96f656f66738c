#include "worker/preparation.h"

#include "net/thread_pool.h"

#include <utility>

namespace berth::worker {
namespace {

using model::InstanceState;

constexpr std::chrono::seconds kIdlePause{15};

}  // namespace

Preparation::Preparation(const MemberContext& context, const model::Assignment& assignment,
                         std::shared_ptr<net::WakeUp> wake_up, PreparationEvents events)
    : context_(context),
      pack_(assignment.placement.pack),
      wanted_(assignment.files),
      wake_up_(std::move(wake_up)),
      events_(std::move(events)) {}

// The pack, installed if need be. An installation that is cancelled may take its time to end: what
// is left of it then goes on without this member.
net::Task<Result<model::PackStatus>> Preparation::ensure_pack() {
  const std::string name = pack_;
  if (auto installed = context_.packs.installed(name)) co_return *std::move(installed);
  events_.enter(InstanceState::installing, fmt::format("prepares the engine pack {}", name));
  using Outcome = std::optional<Result<model::PackStatus>>;
  const auto outcome = std::make_shared<Outcome>();
  auto install = [&packs = context_.packs, name, token = cancel_.get_token()] {
    return packs.ensure(name, token);
  };
  boost::asio::co_spawn(
      wake_up_->executor(), net::offload(context_.install_pool, std::move(install)),
      [outcome, wake_up = wake_up_](std::exception_ptr thrown, Result<model::PackStatus> result) {
        *outcome =
            thrown ? fail(ErrorCode::internal, "the installation broke off") : std::move(result);
        wake_up->wake();
      });
  while (!*outcome && !events_.is_unwanted()) co_await wake_up_->wait(kIdlePause);
  if (!*outcome) co_return fail(ErrorCode::cancelled, "stopped while its pack was installed");
  co_return std::move(**outcome);
}

void Preparation::want_files() {
  if (!wanted_) return;
  auto on_end = [wake_up = wake_up_] { wake_up->wake_from_anywhere(); };
  files_ = context_.files.want(*wanted_, std::move(on_end));
}

net::Task<Result<model::Assignment>> Preparation::ensure_files(model::Assignment assignment) {
  if (!files_) co_return assignment;
  auto outcome = files_->outcome();
  if (!outcome) events_.enter(InstanceState::downloading, "looks for its files");
  while (!outcome && !events_.is_unwanted()) {
    co_await wake_up_->wait(kIdlePause);
    outcome = files_->outcome();
  }
  if (!outcome) co_return fail(ErrorCode::cancelled, "stopped while its files were fetched");
  if (!*outcome) co_return fail(std::move(*outcome).error());
  const sources::LocalFiles local = **std::move(outcome);
  assignment.profile = model::renamed(std::move(assignment.profile), [&](const std::string& path) {
    const auto found = local.paths.find(path);
    return found == local.paths.end() ? path : found->second.string();
  });
  if (!local.folder.empty()) assignment.deployment.source = local.folder.string();
  co_return assignment;
}

void Preparation::describe(cluster::InstanceReport& report) const {
  if (report.state == InstanceState::installing) {
    for (const auto& status : context_.packs.list()) {
      if (status.pack.name != pack_) continue;
      report.progress = status.progress;
      if (!status.step.empty()) report.reason = "engine pack: " + status.step;
    }
  }
  if (report.state == InstanceState::downloading && files_) {
    const auto status = files_->status();
    report.reason = model::describe(status);
    if (status.total.count > 0) {
      report.progress =
          static_cast<double>(status.done.count) / static_cast<double>(status.total.count);
    }
  }
}

}  // namespace berth::worker
