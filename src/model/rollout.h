// Revisions of a model: what it was before, and how far the one in force is on its way to serve.
#pragma once

#include "base/describe.h"
#include "model/compute_table.h"
#include "model/deployment.h"
#include "model/profile.h"
#include "model/repository_files.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace berth::model {

// What became of a revision.
enum class RevisionOutcome {
  untried,   // none of its instances has been ready so far
  served,    // it was ready
  failed,    // it did not become ready, and was rolled back
  replaced,  // edited before it was ready
};
BOOST_DESCRIBE_ENUM(RevisionOutcome, untried, served, failed, replaced)

// A revision as it is remembered: enough to deploy it again.
struct PastRevision {
  std::uint64_t generation = 1;
  Deployment deployment;
  std::string made_at;  // RFC 3339
  RevisionOutcome outcome = RevisionOutcome::untried;
  std::string reason;  // why it failed
};
BOOST_DESCRIBE_STRUCT(PastRevision, (), (generation, deployment, made_at, outcome, reason))

// The last revision that was ready, with all that was found out when it was accepted: going back to
// it needs no file to be read.
struct Fallback {
  std::uint64_t generation = 1;
  Deployment deployment;
  std::string backend;
  std::string backend_reason;
  ModelProfile profile;
  std::string read_by;
  std::vector<std::string> warnings;
  ComputeTable compute;
  std::optional<RepositoryFiles> files;
};
BOOST_DESCRIBE_STRUCT(Fallback, (),
                      (generation, deployment, backend, backend_reason, profile, read_by, warnings,
                       compute, files))

struct Revisions {
  std::vector<PastRevision> items;   // the oldest first; the last ten
  std::optional<Fallback> fallback;  // while the revision in force has not been ready
  std::uint64_t newest = 0;          // of all generations that there were
  // The store's revision of the last edit, where only conditions were written since; 0: this one.
  std::uint64_t unchanged_since = 0;
};
BOOST_DESCRIBE_STRUCT(Revisions, (), (items, fallback, newest, unchanged_since))

enum class RolloutState {
  complete,     // as many instances of the revision in force as there should be, and no others
  progressing,  // on its way there
  rolled_back,  // a revision did not become ready; the one before it is in force again
  failed,       // did not become ready, and there is no revision to go back to
};
BOOST_DESCRIBE_ENUM(RolloutState, complete, progressing, rolled_back, failed)

// The condition of the newest edit.
struct Rollout {
  RolloutState state = RolloutState::complete;
  std::uint64_t generation = 0;  // the revision that it is about; 0: nothing is known yet
  std::string reason;            // for a person
  std::string since;             // RFC 3339, of this state
  std::string progress_at;       // when it last got on; empty: its time does not run
  std::uint32_t ready = 0;       // the most of its instances that were ready at a time
  std::string fewer_since;  // since when there is room for fewer than `replicas`; empty: is not
};
BOOST_DESCRIBE_STRUCT(Rollout, (),
                      (state, generation, reason, since, progress_at, ready, fewer_since))

}  // namespace berth::model
