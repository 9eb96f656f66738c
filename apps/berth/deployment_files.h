// Deployments between files and the server: reading them, comparing them with what is in force, and
// putting them there.
#pragma once

#include "api_client.h"
#include "model/deployment.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace berth::app {

// A deployment of a file, and the file's name for messages.
struct FileDeployment {
  model::Deployment deployment;
  std::string file;
};

// All deployments of the files; "-" is standard input. A relative `source` is taken from the folder
// of its file (from the current one for "-") and made absolute. Fails with invalid_parameter where
// two have one name, or as text::read_deployments.
Result<std::vector<FileDeployment>> read_deployment_files(const std::vector<std::string>& files);

// The same for one text. `folder` is absolute.
Result<std::vector<model::Deployment>> read_deployment_text(std::string_view content,
                                                            std::string_view file,
                                                            const std::string& folder);

// A deployment as it is in force.
struct InForce {
  model::Deployment deployment;
  std::uint64_t revision = 0;
};
// Nothing where there is no such model.
Result<std::optional<InForce>> find_in_force(const ApiClient& client, const std::string& name);

// What a PUT did, or would do.
struct PutView {
  std::string name;
  std::string outcome;  // "created", "changed", "unchanged"
  bool replaces_instances = false;
  model::Deployment deployment;  // as the server understands it
  std::string read_by;
  json::object answer;
};

enum class PutMode { check, write };

// Puts the deployment in the place of `before` (nothing: a new model). Fails with conflict where
// something else is there by now.
Result<PutView> put_deployment(const ApiClient& client, const model::Deployment& deployment,
                               const std::optional<InForce>& before, PutMode mode);

}  // namespace berth::app
