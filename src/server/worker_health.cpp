#include "server/worker_health.h"

#include <algorithm>
#include <utility>

namespace berth::server {

using model::WorkerState;

std::vector<WorkerHealth::Verdict> WorkerHealth::look(const std::vector<Seen>& workers,
                                                      SteadyTime now) {
  Duration pause{};
  if (last_look_) {
    pause = std::chrono::duration_cast<Duration>(now - *last_look_);
    pause = std::clamp(pause, Duration::zero(), policy_.longest_pause);
  }
  last_look_ = now;
  awake_ += pause;

  std::map<std::string, Silence> silences;
  for (const auto& worker : workers) {
    const auto known = silences_.find(worker.name);
    Silence silence = known == silences_.end() ? Silence{.since = awake_} : known->second;
    if (worker.heard && worker.heard != silence.heard) {
      const auto ago = std::chrono::duration_cast<Duration>(now - *worker.heard);
      silence = {.heard = worker.heard, .since = awake_ - std::clamp(ago, Duration::zero(), pause)};
    }
    silences.emplace(worker.name, silence);
  }
  silences_ = std::move(silences);
  judge_losses();

  std::vector<Verdict> verdicts;
  verdicts.reserve(workers.size());
  for (const auto& worker : workers) {
    Verdict verdict{.name = worker.name,
                    .state = WorkerState::ready,
                    .silence = silence_of(worker.name),
                    .heard = worker.heard.has_value()};
    if (verdict.silence >= policy_.lost_after) {
      verdict.state = WorkerState::lost;
    } else if (verdict.silence >= policy_.suspect_after) {
      verdict.state = worker.state == WorkerState::lost && !worker.heard ? worker.state
                                                                         : WorkerState::suspected;
    } else if (!worker.reports) {
      verdict.state = is_silent(worker.state) ? worker.state : WorkerState::not_ready;
    }
    verdict.given_up = given_up_.contains(worker.name);
    verdicts.push_back(std::move(verdict));
  }
  return verdicts;
}

void WorkerHealth::judge_losses() {
  const auto is_heard = [&](const std::string& name) {
    return !silences_.contains(name) || silence_of(name) < policy_.lost_after;
  };
  std::erase_if(lost_, is_heard);
  std::erase_if(given_up_, is_heard);
  std::set<std::string> newly_lost;
  for (const auto& [name, silence] : silences_) {
    if (!is_heard(name) && lost_.insert(name).second) newly_lost.insert(name);
  }
  if (hold_until_ && awake_ >= *hold_until_) {
    hold_until_.reset();
    given_up_ = lost_;
  }
  const bool may_brake = policy_.mass_loss_hold > Duration::zero();
  for (const auto& name : newly_lost) {
    if (!may_brake || hold_until_) break;
    const Share share = share_of(name, policy_.lost_after);
    if (!is_mass(share)) continue;
    hold_until_ = awake_ + policy_.mass_loss_hold;
    hold_for_ = share;
  }
  if (hold_until_) return;
  for (const auto& name : lost_) {
    // Those that are suspected may be about to be lost too.
    const bool waits = may_brake && is_mass(share_of(name, policy_.suspect_after));
    if (!waits) given_up_.insert(name);
  }
}

Duration WorkerHealth::silence_of(const std::string& name) const {
  return awake_ - silences_.at(name).since;
}

WorkerHealth::Share WorkerHealth::share_of(const std::string& name, Duration silent_for) const {
  const Duration since = silences_.at(name).since;
  Share share;
  for (const auto& [other, silence] : silences_) {
    const bool is_near = std::chrono::abs(silence.since - since) <= policy_.mass_window;
    const bool is_gone = is_near && awake_ - silence.since >= silent_for;
    if (is_gone) ++share.gone;
    // Those that were lost long before are not part of what there was.
    if (is_gone || !lost_.contains(other)) ++share.all;
  }
  return share;
}

bool WorkerHealth::is_mass(const Share& share) const {
  return share.all >= policy_.mass_of && share.gone >= policy_.mass_least &&
         2 * share.gone > share.all;
}

std::optional<Duration> WorkerHealth::hold_left() const {
  if (!hold_until_) return std::nullopt;
  return *hold_until_ - awake_;
}

Duration WorkerHealth::next_look(Duration most) const {
  Duration next = most;
  for (const auto& [name, silence] : silences_) {
    for (const Duration limit : {policy_.suspect_after, policy_.lost_after}) {
      const Duration left = limit - silence_of(name);
      if (left > Duration::zero()) next = std::min(next, left);
    }
  }
  return next;
}

}  // namespace berth::server
