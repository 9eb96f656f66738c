// The settings of `berth serve`: a flag wins over BERTH_*, which wins over berth.yaml.
#pragma once

#include "base/data_folder.h"
#include "server/settings.h"

#include <optional>
#include <string>

namespace berth::app {

using server::ServeSettings;

// Settings of the file and then of the environment, over the defaults. `file` must exist where it
// is given; else berth.yaml in the data folder is read if it is there. Fails with
// invalid_parameter, naming the file and the field or the variable.
Result<ServeSettings> read_serve_settings(const DataFolder& data,
                                          const std::optional<std::string>& file);

}  // namespace berth::app
