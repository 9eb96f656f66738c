// Rollouts: how a model gets from one revision to the next, when a revision is given up, and what
// the model goes back to. Pure; the state is in the model's document, so that a restart of the
// server changes nothing.
#pragma once

#include "base/clock.h"
#include "base/result.h"
#include "model/instance.h"
#include "store/event.h"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace berth::server {

inline constexpr std::size_t kKeptRevisions = 10;
inline constexpr std::chrono::minutes kProgressDeadline{30};  // where the deployment names none

// `revision` with what no instance is made from as in `wishes`: replicas, policies, deadlines of
// rollouts.
[[nodiscard]] model::Deployment with_wishes(model::Deployment revision,
                                            const model::Deployment& wishes);
// Whether both make the same instances: an edit from one to the other replaces none.
[[nodiscard]] bool is_same_revision(const model::Deployment& a, const model::Deployment& b);

// Makes `model`, which was just accepted, the next revision after `before`; null: the first one.
void begin_revision(model::Model& model, const model::Model* before, SystemTime now);

// Whether an edit to `wanted` only takes back one that was never ready.
[[nodiscard]] bool takes_back(const model::Model& before, const model::Deployment& wanted);
// Such an edit: the last revision that was ready is in force again, and its instances serve on.
[[nodiscard]] model::Model take_back(model::Model before, const model::Deployment& wanted,
                                     SystemTime now);

// The deployment that goes back to revision `to`, or, where that is absent, to the last revision
// before the one in force that was ready; what with_wishes() leaves out stays. Fails with
// invalid_parameter (field "to") for a revision that is not remembered, conflict where there is
// none to go back to.
[[nodiscard]] Result<model::Deployment> undo_target(const model::Model& model,
                                                    std::optional<std::uint64_t> to);

// The revision of the store that stands for what the user asked for: that of `stored`, unless only
// conditions were written since an earlier one. What If-Match compares.
[[nodiscard]] std::uint64_t edit_revision(const model::Model& model, std::uint64_t stored);
// Notes whether `model`, about to be written over `before` (stored at `stored`) by the controllers,
// is still what the user asked for.
void keep_edit_revision(model::Model& model, const model::Model& before, std::uint64_t stored);
// The user's own write.
void take_edit_revision(model::Model& model);

// A model's instances at one moment.
struct RolloutFacts {
  std::vector<const model::Instance*> current;  // of the revision in force, that are not ending
  std::size_t others = 0;                       // of other revisions, that are not ending
  std::size_t others_ready = 0;                 // of those
  bool silent = false;  // some worker has not spoken yet: its time does not run
};

struct RolloutStep {
  bool changed = false;  // the model is to be written
  std::vector<store::Event> events;
  std::optional<Duration> look_again;  // when its time is over
};

// Takes `facts` into the condition of `model`. A revision that failed, or got no further within its
// deadline, is rolled back to the last that was ready. That one is never rolled back, so this ends.
[[nodiscard]] RolloutStep advance_rollout(model::Model& model, const RolloutFacts& facts,
                                          SystemTime now);

// Notes that an instance that serves is drained before its successor does, and `why`.
[[nodiscard]] store::Event note_fewer(model::Model& model, const std::string& instance,
                                      const std::string& why, SystemTime now);

// How long the revision may bring nothing to serve.
[[nodiscard]] Duration progress_deadline(const model::Deployment& deployment);

}  // namespace berth::server
