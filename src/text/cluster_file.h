// A cluster in a file: its workers with their devices and engine packs, and what instances hold of
// them already. For plans and simulations of machines that need not exist; docs/clusters.md tells
// the form. Pure; thread-safe.
#pragma once

#include "base/json.h"
#include "base/result.h"
#include "model/cluster_view.h"

#include <string_view>
#include <vector>

namespace berth::text {

// The engine packs that a cluster file may name, and those of a worker that names none.
struct PackChoice {
  std::vector<model::EnginePack> known;
  std::vector<model::EnginePack> usual;  // those of other platforms than the worker's are left out
};

// Reads one YAML or JSON document. Fails with invalid_parameter, naming `file`, line and field:
// broken YAML, a field that there is not, an impossible value, a template, pack, worker or device
// that is named and not there, two workers of one name, more than 20,000 workers.
Result<model::ClusterView> read_cluster(std::string_view content, std::string_view file,
                                        const PackChoice& packs);

// The same of a value that is a part of something else; the error's field is its path in `value`.
Result<model::ClusterView> cluster_of(const json::value& value, const PackChoice& packs);

}  // namespace berth::text
