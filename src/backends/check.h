// What the server asks a backend before it accepts a deployment, and what every backend's launch
// shares: flags that a pack has not, the pack's program. Pure and thread-safe.
#pragma once

#include "backends/backend.h"

namespace berth::backends {

// A deployment that its backend accepts.
struct CheckedDeployment {
  ParsedParameters parameters;
  std::vector<std::string> warnings;
};

// Reads the parameters and checks them, the environment and the wished context against the model.
// `allowed_env`: see check_environment. Fails with invalid_parameter and field "parameters" or
// "env.NAME".
Result<CheckedDeployment> check_deployment(const Backend& backend,
                                           const model::Deployment& deployment,
                                           const model::ModelProfile& profile,
                                           std::span<const std::string> allowed_env = {});

// The user's flags that the pack does not have and would be passed. Empty where the pack does not
// list its flags.
std::vector<std::string> unsupported_flags(const model::EnginePack& pack,
                                           const ParsedParameters& parameters);
// Whether the pack has a flag, by name or alias. True where it does not list its flags.
bool has_flag(const model::EnginePack& pack, std::string_view flag);

// The pack's program, filled in. Fails as fill_in.
Result<std::vector<std::string>> program_of(const LaunchContext& context);

// Markdown: the backend's parameters and variables.
std::string parameter_reference(const BackendDescriptor& descriptor);

}  // namespace berth::backends
