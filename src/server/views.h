// Views: how models and instances look in answers of the management API.
#pragma once

#include "base/json.h"
#include "model/instance.h"
#include "net/route_doc.h"
#include "server/worker_registry.h"
#include "store/store.h"

#include <optional>
#include <string>
#include <vector>

namespace berth::server {

enum class ModelState {
  ready,         // as many instances as it should have
  partly_ready,  // some
  not_ready,     // none
  stopped,       // scaled to 0
  deleting,
};
BOOST_DESCRIBE_ENUM(ModelState, ready, partly_ready, not_ready, stopped, deleting)

// What a person asks first of a model.
struct ModelSummary {
  std::string name;
  std::uint64_t revision = 0;  // for If-Match: an edit of what has changed since is refused
  ModelState state = ModelState::ready;
  std::string reason;  // why it is not ready
  std::uint32_t replicas = 0;
  std::uint64_t instances = 0;
  std::uint64_t ready = 0;
};
BOOST_DESCRIBE_STRUCT(ModelSummary, (), (name, revision, state, reason, replicas, instances, ready))

// The model, with its summary in front.
json::object model_view(const model::Model& model, store::Revision revision,
                        const std::vector<model::Instance>& instances);
json::object model_view_schema(Schemas& schemas);

// How far a model's revision is, and those before it.
struct RolloutView {
  std::string name;
  std::uint64_t revision = 1;  // in force
  model::RolloutState state = model::RolloutState::complete;
  std::string reason;
  std::string since;          // RFC 3339, of the state
  std::string deadline = {};  // when it is given up unless it gets on; empty: its time does not run
  std::uint32_t replicas = 0;
  std::uint64_t updated = 0;  // instances of the revision in force
  std::uint64_t ready = 0;    // of those
  std::uint64_t old = 0;      // instances of other revisions, those that end included
  std::vector<model::PastRevision> revisions = {};  // the oldest first
};
BOOST_DESCRIBE_STRUCT(RolloutView, (),
                      (name, revision, state, reason, since, deadline, replicas, updated, ready,
                       old, revisions))
json::object rollout_view(const model::Model& model, const std::vector<model::Instance>& instances);
json::object rollout_view_schema(Schemas& schemas);

// The instance without secrets, with "worker", and with the progress that its worker last told.
json::object instance_view(const model::Instance& instance, const WorkerRegistry& workers);
// Why it is in its state, where its worker told it after the state was written down.
std::optional<std::string> latest_reason(const model::Instance& instance,
                                         const WorkerRegistry& workers);
json::object instance_view_schema(Schemas& schemas);

// An answer of {"items": […]}; `item` makes the schema of one.
net::SchemaSource list_of(net::SchemaSource item);
// The schema of what is both: members of a described struct, and more.
json::object both(json::object one, json::object other);

}  // namespace berth::server
