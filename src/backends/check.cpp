#include "backends/check.h"

#include "backends/environment.h"

#include <algorithm>

namespace berth::backends {
Result<CheckedDeployment> check_deployment(const Backend& backend,
                                           const model::Deployment& deployment,
                                           const model::ModelProfile& profile,
                                           std::span<const std::string> allowed_env) {
  const auto& descriptor = backend.descriptor();
  CheckedDeployment checked;
  BERTH_TRY(checked.parameters, parse_parameters(descriptor, deployment.parameters));
  checked.warnings = checked.parameters.warnings;
  BERTH_TRY(auto of_variables, check_environment(descriptor, deployment.env, allowed_env));
  checked.warnings.insert(checked.warnings.end(), of_variables.begin(), of_variables.end());
  for (const bool has_devices : {false, true}) {
    BERTH_CHECK(backend.serving(profile, checked.parameters, has_devices));
  }
  BERTH_TRY(auto warnings, backend.check(profile, checked.parameters));
  checked.warnings.insert(checked.warnings.end(), warnings.begin(), warnings.end());
  return checked;
}

bool has_flag(const model::EnginePack& pack, std::string_view flag) {
  if (std::find(pack.lacks.begin(), pack.lacks.end(), flag) != pack.lacks.end()) return false;
  if (pack.flags.empty()) return true;
  return std::any_of(pack.flags.begin(), pack.flags.end(), [&](const model::PackFlag& known) {
    return known.flag == flag ||
           std::find(known.aliases.begin(), known.aliases.end(), flag) != known.aliases.end();
  });
}

std::vector<std::string> unsupported_flags(const model::EnginePack& pack,
                                           const ParsedParameters& parameters) {
  std::vector<std::string> missing;
  for (const auto& given : parameters.given) {
    if (!given.passed || has_flag(pack, given.flag)) continue;
    if (std::find(missing.begin(), missing.end(), given.flag) == missing.end()) {
      missing.push_back(given.flag);
    }
  }
  return missing;
}

Result<std::vector<std::string>> program_of(const LaunchContext& context) {
  if (context.pack.program.empty()) {
    return fail(ErrorCode::unsupported, "engine pack {} names no program", context.pack.name);
  }
  std::vector<std::string> argv;
  argv.reserve(context.pack.program.size());
  for (const auto& word : context.pack.program) {
    BERTH_TRY(auto filled, fill_in(word, context));
    argv.push_back(std::move(filled));
  }
  return argv;
}

}  // namespace berth::backends
