// Views: how models and instances look in answers of the management API.
#pragma once

#include "base/json.h"
#include "model/instance.h"
#include "server/worker_registry.h"

#include <vector>

namespace berth::server {

// The model with what a person asks first: "name", "instances", "ready", "state" and "reason".
json::object model_view(const model::Model& model, const std::vector<model::Instance>& instances);

// The instance without secrets, with "worker", and with the progress that its worker last told.
json::object instance_view(const model::Instance& instance, const WorkerRegistry& workers);

}  // namespace berth::server
