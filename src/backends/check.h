// What the server asks a backend before it accepts a deployment, and what every backend's launch
// shares: variables, flags that a pack has not, the pack's program. Pure and thread-safe.
#pragma once

#include "backends/backend.h"

namespace berth::backends {

// A deployment that its backend accepts.
struct CheckedDeployment {
  ParsedParameters parameters;
  std::vector<std::string> warnings;
};

// Reads the parameters and checks them, the environment and the wished context against the model.
// Fails with invalid_parameter and field "parameters" or "env.NAME".
Result<CheckedDeployment> check_deployment(const Backend& backend,
                                           const model::Deployment& deployment,
                                           const model::ModelProfile& profile);

// The rule for a variable, or nothing where the user may set it freely.
const Variable* find_variable(const BackendDescriptor& descriptor, std::string_view name);

// The user's flags that the pack does not have and would be passed. Empty where the pack does not
// list its flags.
std::vector<std::string> unsupported_flags(const model::EnginePack& pack,
                                           const ParsedParameters& parameters);
// Whether the pack has a flag, by name or alias. True where it does not list its flags.
bool has_flag(const model::EnginePack& pack, std::string_view flag);

// The engine's whole environment: ours from the start, presets, then the user's variables. A
// forced or removed variable of the user's is left out and noted. `forced` wins over everything.
std::vector<model::EnvironmentVariable> build_environment(
    const BackendDescriptor& descriptor, const std::map<std::string, std::string>& user,
    const std::vector<model::EnvironmentVariable>& forced, std::vector<std::string>& notes);

// The pack's program with {pack} and {python} replaced. Fails with unsupported where it names one
// of them and the pack has none.
Result<std::vector<std::string>> program_of(const LaunchContext& context);

// Markdown: the backend's parameters and variables.
std::string parameter_reference(const BackendDescriptor& descriptor);

}  // namespace berth::backends
