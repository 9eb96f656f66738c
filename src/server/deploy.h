// From a deployment to a model: reads the files, chooses the backend, checks what can be checked.
#pragma once

#include "backends/backend.h"
#include "base/clock.h"
#include "base/result.h"
#include "model/instance.h"
#include "server/model_files.h"

#include <span>
#include <string>

namespace berth::server {

// Blocks (the model's header is read). The model's source is the path that a glob matches.
// `allowed_env`: see backends::check_environment. Fails with invalid_parameter and the field,
// not_found for a file that is not there, corrupt or unsupported for one that can not be served.
Result<model::Model> accept_deployment(const model::Deployment& deployment,
                                       const backends::Registry& backends, const Clock& clock,
                                       const ModelEyes& eyes,
                                       std::span<const std::string> allowed_env = {});

// The model after an edit: the generation is raised where instances have to be replaced for it.
// Fails as above, and on a change of the name.
Result<model::Model> accept_edit(const model::Model& before, const model::Deployment& deployment,
                                 const backends::Registry& backends, const Clock& clock,
                                 const ModelEyes& eyes,
                                 std::span<const std::string> allowed_env = {});

}  // namespace berth::server
