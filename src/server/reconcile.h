// reconcile: what should change, given what is. The whole logic of the controllers, pure: no I/O,
// no clock but the one it is given; call it again at any time and it goes on from there.
#pragma once

#include "backends/backend.h"
#include "base/clock.h"
#include "model/cluster_view.h"
#include "model/instance.h"
#include "model/observation.h"
#include "store/store.h"
#include "store/typed.h"

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace berth::server {

// What the store and the workers' reports say at one moment.
struct ClusterState {
  std::vector<store::Stored<model::Model>> models;
  std::vector<store::Stored<model::Instance>> instances;
  std::vector<store::Stored<model::Assignment>> assignments;
  // The documents as they are stored, by name: what a newer version wrote into them
  // and we do not know is kept.
  std::map<std::string, json::object> model_documents;
  std::map<std::string, json::object> instance_documents;
  std::map<std::string, json::object> assignment_documents;
  std::map<std::string, model::Observation> observations;  // by the model's name
  model::ClusterView view;  // workers with what is used, without claims of ours
  // The revision up to which a worker has taken in its assignments, and the members of instances
  // that it still has; a worker that is not here has not spoken.
  struct WorkerProgress {
    std::uint64_t revision = 0;
    std::vector<std::pair<std::string, std::uint32_t>> members;
  };
  std::map<std::string, WorkerProgress> progress;
  std::set<std::string> given_up;        // lost workers, whose instances are to be placed elsewhere
  std::optional<SystemTime> held_until;  // those of other lost workers stay, most being lost
  SystemTime now;
};

// The writes that bring the state nearer to what should be (all or nothing), and what to tell.
struct Decision {
  std::vector<store::Write> writes;
  std::vector<store::Event> events;
  std::vector<std::string> drained;    // workers that were to be emptied and are
  std::optional<Duration> look_again;  // when time alone changes something
};

// `new_id` gives the random end of an instance's name, `new_key` an engine's key.
struct Randomness {
  std::function<std::string()> new_id;
  std::function<std::string()> new_key;
};

[[nodiscard]] Decision reconcile(const ClusterState& state, const backends::Registry& backends,
                                 const Randomness& random);

}  // namespace berth::server
