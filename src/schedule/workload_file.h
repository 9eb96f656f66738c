// A workload in a file: models that come and go, for the simulator. docs/clusters.md tells the
// form. Pure; thread-safe.
#pragma once

#include "base/result.h"
#include "schedule/simulator.h"

#include <functional>
#include <string>
#include <string_view>

namespace berth::schedule {

// Reads what a model's files say; `path` is as the workload has it.
using ReadProfile = std::function<Result<model::ModelProfile>(const std::string& path)>;

// Reads one YAML or JSON document. Times and durations that are left to chance follow from its
// seed. Fails with invalid_parameter, naming `file`, line and field: broken YAML, a field that
// there is not, an impossible value, a model that arrives and is not described, one that no backend
// serves, more than 1,000,000 arrivals, files that `read` can not read.
Result<Workload> read_workload(std::string_view content, std::string_view file,
                               const backends::Registry& backends, const ReadProfile& read);

}  // namespace berth::schedule
