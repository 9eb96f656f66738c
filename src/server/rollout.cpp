#include "server/rollout.h"

#include "base/describe.h"

#include <algorithm>
#include <ranges>
#include <utility>

namespace berth::server {
namespace {

using model::InstanceState;
using model::Model;
using model::RevisionOutcome;
using model::RolloutState;

// The history of a model is a small part of its document (see store::kDocumentLimit).
constexpr Bytes kHistoryLimit = 256_KiB;

Duration since(const std::string& time, SystemTime now) {
  const auto then = parse_rfc3339(time);
  if (!then || *then > now) return Duration::zero();
  return std::chrono::duration_cast<Duration>(now - *then);
}

store::Event event_of(const Model& model, store::EventLevel level, std::string reason,
                      std::string message, SystemTime now) {
  return {.id = 0,
          .time = now,
          .kind = std::string(model::kModelKind),
          .name = model.deployment.name,
          .level = level,
          .reason = std::move(reason),
          .message = std::move(message)};
}

model::Fallback fallback_of(const Model& model) {
  return {.generation = model.generation,
          .deployment = model.deployment,
          .backend = model.backend,
          .backend_reason = model.backend_reason,
          .profile = model.profile,
          .read_by = model.read_by,
          .warnings = model.warnings,
          .compute = model.compute,
          .files = model.files};
}

void trim(Model& model) {
  auto& revisions = *model.revisions;
  auto& items = revisions.items;
  const auto size = [&] { return Bytes{json::serialize(to_json(items, Secrets::show)).size()}; };
  while (items.size() > kKeptRevisions || size() > kHistoryLimit) {
    const auto oldest = std::ranges::find_if(items, [&](const auto& item) {
      const bool is_needed =
          item.generation == model.generation ||
          (revisions.fallback && item.generation == revisions.fallback->generation);
      return !is_needed;
    });
    if (oldest == items.end()) return;
    items.erase(oldest);
  }
}

model::PastRevision* find_revision(Model& model, std::uint64_t generation) {
  if (!model.revisions) return nullptr;
  const auto found =
      std::ranges::find(model.revisions->items, generation, &model::PastRevision::generation);
  return found == model.revisions->items.end() ? nullptr : &*found;
}

// Remembers the revision in force. False: it is remembered.
bool remember(Model& model, SystemTime now) {
  if (find_revision(model, model.generation) != nullptr) return false;
  if (!model.revisions) model.revisions.emplace();
  model.revisions->newest = std::max(model.revisions->newest, model.generation);
  model.revisions->items.push_back(
      {.generation = model.generation, .deployment = model.deployment, .made_at = to_rfc3339(now)});
  trim(model);
  return true;
}

void set_outcome(Model& model, RevisionOutcome outcome, std::string reason = {}) {
  auto* revision = find_revision(model, model.generation);
  if (revision == nullptr) return;
  if (outcome == RevisionOutcome::replaced && revision->outcome != RevisionOutcome::untried) return;
  revision->outcome = outcome;
  revision->reason = std::move(reason);
}

// The fallback is in force again.
void restore(Model& model, const model::Deployment& wishes) {
  model::Fallback back = *std::exchange(model.revisions->fallback, std::nullopt);
  model.generation = model.ready_generation = back.generation;
  model.deployment = with_wishes(std::move(back.deployment), wishes);
  model.backend = std::move(back.backend);
  model.backend_reason = std::move(back.backend_reason);
  model.profile = std::move(back.profile);
  model.read_by = std::move(back.read_by);
  model.warnings = std::move(back.warnings);
  model.compute = std::move(back.compute);
  model.files = std::move(back.files);
}

void start(Model& model, SystemTime now) {
  const std::string at = to_rfc3339(now);
  model.rollout = {.state = RolloutState::progressing,
                   .generation = model.generation,
                   .reason = {},
                   .since = at,
                   .progress_at = model.deployment.replicas == 0 ? std::string() : at,
                   .ready = 0,
                   .fewer_since = std::move(model.rollout.fewer_since)};
}

// What its worker says, and what ended its engine as far as the reason leaves that out.
std::string describe(const model::Instance& instance) {
  std::string text = fmt::format("{} is {}", instance.name, enum_name(instance.state));
  if (!instance.reason.empty()) text += fmt::format(": {}", instance.reason);
  if (!instance.last_exit) return text;
  const auto& exit = *instance.last_exit;
  const auto add = [&](const std::string& what) {
    if (!what.empty() && text.find(what) == std::string::npos) text += fmt::format(" ({})", what);
  };
  if (!exit.likely_cause.empty())
    add(exit.likely_cause);
  else if (!exit.last_lines.empty())
    add(exit.last_lines.back());
  return text;
}

class Step {
 public:
  Step(Model& model, const RolloutFacts& facts, SystemTime now)
      : model_(model), facts_(facts), now_(now) {
    for (const auto* instance : facts.current) {
      if (instance->state == InstanceState::ready) ++ready_;
    }
  }

  RolloutStep make() {
    if (remember(model_, now_)) step_.changed = true;
    if (ready_ > 0 && !model_.revisions->fallback) prove();
    end_fewer();
    if (model_.deployment.replicas == 0) {
      rest();
    } else if (ready_ >= model_.deployment.replicas && facts_.others == 0) {
      complete();
    } else {
      go_on();
    }
    return std::move(step_);
  }

 private:
  [[nodiscard]] bool is_proven() const { return model_.ready_generation == model_.generation; }

  void tell(store::EventLevel level, std::string reason, std::string message) {
    step_.events.push_back(event_of(model_, level, std::move(reason), std::move(message), now_));
  }

  void prove() {
    if (is_proven()) return;
    model_.ready_generation = model_.generation;
    model_.revisions->fallback.reset();
    set_outcome(model_, RevisionOutcome::served);
    step_.changed = true;
  }

  void enter(RolloutState state, std::string reason) {
    auto& rollout = model_.rollout;
    rollout.state = state;
    rollout.generation = model_.generation;
    rollout.reason = std::move(reason);
    rollout.since = to_rfc3339(now_);
    step_.changed = true;
  }

  void set_progress(std::string at) {
    if (model_.rollout.progress_at == at) return;
    model_.rollout.progress_at = std::move(at);
    step_.changed = true;
  }

  // There are as many as there should be again.
  void end_fewer() {
    auto& rollout = model_.rollout;
    const bool serves = ready_ + facts_.others_ready >= model_.deployment.replicas;
    if (rollout.fewer_since.empty() || !serves) return;
    tell(store::EventLevel::info, "ServesAgain",
         fmt::format("as many instances serve as before; one fewer did for {}",
                     duration_text(since(rollout.fewer_since, now_))));
    rollout.fewer_since.clear();
    if (rollout.state == RolloutState::progressing) rollout.reason.clear();
    step_.changed = true;
  }

  // Without instances nothing is tried, and nothing takes time.
  void rest() {
    set_progress("");
    const auto state = model_.rollout.state;
    const bool is_at_rest = state != RolloutState::progressing && state != RolloutState::failed;
    if (!is_at_rest)
      enter(RolloutState::complete, is_proven() ? "" : "scaled to 0 before it served");
  }

  void complete() {
    prove();
    set_progress("");
    auto& rollout = model_.rollout;
    // What was rolled back stays known until the next edit.
    if (rollout.state == RolloutState::rolled_back) return;
    if (rollout.state == RolloutState::complete && rollout.generation == model_.generation) return;
    enter(RolloutState::complete, "");
    tell(store::EventLevel::info, "RolledOut",
         fmt::format("revision {} serves", model_.generation));
  }

  void go_on() {
    const auto* failed = find_failed();
    if (is_proven()) {
      // Of revisions that serve, only the instances have a condition.
      if (model_.rollout.state != RolloutState::progressing) return;
    } else if (model_.rollout.generation != model_.generation ||
               model_.rollout.state == RolloutState::complete) {
      start(model_, now_);
      step_.changed = true;
    }
    if (failed != nullptr) return give_up(describe(*failed));
    if (model_.rollout.state == RolloutState::failed) return;
    count_time();
  }

  [[nodiscard]] const model::Instance* find_failed() const {
    const auto found = std::ranges::find_if(facts_.current, [](const auto* instance) {
      return instance->state == InstanceState::failed;
    });
    return found == facts_.current.end() ? nullptr : *found;
  }

  // Whether packs or files are being fetched for its first start, which takes as long as it takes.
  [[nodiscard]] bool is_fetching() const {
    return std::ranges::any_of(facts_.current, [](const auto* instance) {
      const bool fetches = instance->state == InstanceState::installing ||
                           instance->state == InstanceState::downloading;
      return fetches && instance->failures == 0;
    });
  }

  void count_time() {
    auto& rollout = model_.rollout;
    if (is_fetching() || facts_.silent) return set_progress("");
    if (rollout.progress_at.empty() || ready_ > rollout.ready) {
      rollout.ready = std::max(rollout.ready, static_cast<std::uint32_t>(ready_));
      set_progress(to_rfc3339(now_));
    }
    const Duration deadline = progress_deadline(model_.deployment);
    const Duration waited = since(rollout.progress_at, now_);
    if (waited < deadline) {
      step_.look_again = deadline - waited;
      return;
    }
    give_up(
        fmt::format("none of its instances got ready for {}{}", duration_text(waited), slowest()));
  }

  [[nodiscard]] std::string slowest() const {
    for (const auto* instance : facts_.current) {
      if (instance->state != InstanceState::ready) return "; " + describe(*instance);
    }
    return {};
  }

  void give_up(const std::string& why) {
    const auto failed = model_.generation;
    if (is_proven() || !model_.revisions->fallback) {
      if (model_.rollout.state == RolloutState::failed) return;
      enter(RolloutState::failed, fmt::format("revision {}: {}", failed, why));
      return tell(store::EventLevel::error, "RolloutFailed", model_.rollout.reason);
    }
    set_outcome(model_, RevisionOutcome::failed, why);
    restore(model_, model_.deployment);
    enter(RolloutState::rolled_back,
          fmt::format("revision {} was rolled back to {}: {}", failed, model_.generation, why));
    model_.rollout.generation = failed;
    set_progress("");
    tell(store::EventLevel::error, "RolledBack", model_.rollout.reason);
  }

  Model& model_;
  const RolloutFacts& facts_;
  SystemTime now_;
  std::size_t ready_ = 0;
  RolloutStep step_;
};

}  // namespace

model::Deployment with_wishes(model::Deployment revision, const model::Deployment& wishes) {
  revision.replicas = wishes.replicas;
  revision.update = wishes.update;
  revision.restart = wishes.restart;
  revision.placement = wishes.placement;
  revision.progress_deadline = wishes.progress_deadline;
  return revision;
}

bool is_same_revision(const model::Deployment& a, const model::Deployment& b) {
  return to_json(with_wishes(a, b), Secrets::show) == to_json(b, Secrets::show);
}

void begin_revision(Model& model, const Model* before, SystemTime now) {
  if (before != nullptr) {
    Model last = *before;
    remember(last, now);
    if (last.ready_generation == last.generation) last.revisions->fallback = fallback_of(*before);
    set_outcome(last, RevisionOutcome::replaced);
    model.generation = std::max(last.generation, last.revisions->newest) + 1;
    model.ready_generation = last.ready_generation;
    model.rollout.fewer_since = last.rollout.fewer_since;
    model.revisions = std::move(last.revisions);
  }
  remember(model, now);
  start(model, now);
}

bool takes_back(const Model& before, const model::Deployment& wanted) {
  return before.revisions && before.revisions->fallback &&
         is_same_revision(before.revisions->fallback->deployment, wanted);
}

Model take_back(Model before, const model::Deployment& wanted, SystemTime now) {
  set_outcome(before, RevisionOutcome::replaced);
  restore(before, wanted);
  start(before, now);
  return before;
}

Result<model::Deployment> undo_target(const Model& model, std::optional<std::uint64_t> to) {
  const auto items = model.revisions ? model.revisions->items : std::vector<model::PastRevision>();
  const auto is_it = [&](const model::PastRevision& item) {
    if (to) return item.generation == *to;
    return item.generation < model.generation && item.outcome == RevisionOutcome::served;
  };
  const auto found = std::ranges::find_if(items.rbegin(), items.rend(), is_it);
  if (found != items.rend()) return with_wishes(found->deployment, model.deployment);
  const std::string& name = model.deployment.name;
  if (to) {
    return fail(make_error(ErrorCode::invalid_parameter,
                           "to must be a revision of {} that is remembered (got {}); see berth "
                           "rollout history {}",
                           name, *to, name)
                    .with_field("to"));
  }
  return fail(ErrorCode::conflict,
              "no revision of {} before {} was ready, so there is none to go back to; see berth "
              "rollout history {}",
              name, model.generation, name);
}

std::uint64_t edit_revision(const Model& model, std::uint64_t stored) {
  const std::uint64_t since = model.revisions ? model.revisions->unchanged_since : 0;
  return since != 0 ? since : stored;
}

void keep_edit_revision(Model& model, const Model& before, std::uint64_t stored) {
  if (!model.revisions) return;
  const bool is_same = model.generation == before.generation;
  model.revisions->unchanged_since = is_same ? edit_revision(before, stored) : 0;
}

void take_edit_revision(Model& model) {
  if (model.revisions) model.revisions->unchanged_since = 0;
}

RolloutStep advance_rollout(Model& model, const RolloutFacts& facts, SystemTime now) {
  return Step(model, facts, now).make();
}

store::Event note_fewer(Model& model, const std::string& instance, const std::string& why,
                        SystemTime now) {
  auto& rollout = model.rollout;
  rollout.reason = fmt::format(
      "{} ends before its successor serves ({}): one instance fewer serves until that is ready, at "
      "most for {}",
      instance, why, duration_text(progress_deadline(model.deployment)));
  if (rollout.fewer_since.empty()) rollout.fewer_since = to_rfc3339(now);
  return event_of(model, store::EventLevel::warning, "ServesFewer", rollout.reason, now);
}

Duration progress_deadline(const model::Deployment& deployment) {
  if (!deployment.progress_deadline) return kProgressDeadline;
  return std::chrono::seconds(*deployment.progress_deadline);
}

}  // namespace berth::server
