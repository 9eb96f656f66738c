// The environment that an engine starts with. It begins empty: the pack and the backend lay down
// what the engine wants, then come the user's variables, then Berth's own; of the worker's only
// proxies, certificates and the time zone go along. Pure and thread-safe.
#pragma once

#include "backends/backend.h"

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace berth::backends {

// Rows that every backend's table ends with: what would let a deployment run code of its own, and
// what is Berth's. `own` come first, and win.
std::vector<Variable> with_common_variables(std::vector<Variable> own);
// Rows for the variables by which runtimes choose devices, as far as `own` does not have them.
std::vector<Variable> with_device_variables(std::vector<Variable> own);
// Rows for engines that are Python on PyTorch: caches and compilers whose output they load.
std::vector<Variable> with_pytorch_variables(std::vector<Variable> own);

// The rule for a variable, or nothing where the user may set it freely.
const Variable* find_variable(const BackendDescriptor& descriptor, std::string_view name);

// Checks the user's variables against the backend's table. `allowed` are the names of guarded
// variables that the operator allows ("LD_PRELOAD", "PYTHON*", "*"). Fails with invalid_parameter
// and field "env.NAME"; the result is warnings.
Result<std::vector<std::string>> check_environment(const BackendDescriptor& descriptor,
                                                   const std::map<std::string, std::string>& user,
                                                   std::span<const std::string> allowed);

// Checks the operator's list itself: each entry must mean a variable that some backend guards.
// Fails with invalid_parameter.
Result<void> check_allowed(const Registry& registry, std::span<const std::string> allowed);

// The engine's whole environment, in the order of names, each variable with its owner. What the
// user asked for and does not get is in `notes`. `forced` wins over everything. Fails as fill_in.
Result<std::vector<model::EnvironmentVariable>> build_environment(
    const BackendDescriptor& descriptor, const LaunchContext& context,
    const std::vector<model::EnvironmentVariable>& forced, std::vector<std::string>& notes);

// `text` with {pack} and {python} replaced. Fails with unsupported where it names one of them and
// the pack has none.
Result<std::string> fill_in(std::string text, const LaunchContext& context);

}  // namespace berth::backends
