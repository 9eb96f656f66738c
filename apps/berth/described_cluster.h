// A cluster that a file describes, with the engine packs that this program knows.
#pragma once

#include "base/result.h"
#include "command.h"
#include "model/cluster_view.h"

#include <string>

namespace berth::app {

// Fails as read_file, and with invalid_parameter, naming file, line and field.
Result<model::ClusterView> read_described_cluster(const CommonOptions& common,
                                                  const std::string& file);

}  // namespace berth::app
