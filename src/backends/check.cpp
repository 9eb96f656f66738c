#include "backends/check.h"

#include <algorithm>
#include <cctype>

namespace berth::backends {
namespace {

bool matches(std::string_view pattern, std::string_view name) {
  if (!pattern.empty() && pattern.back() == '*') {
    return name.substr(0, pattern.size() - 1) == pattern.substr(0, pattern.size() - 1);
  }
  return pattern == name;
}

// Whether a variable of this name is likely to hold a secret: HF_TOKEN, AWS_SECRET_ACCESS_KEY.
bool sounds_secret(std::string name) {
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  constexpr std::string_view kWords[] = {"TOKEN",  "SECRET",     "PASSWORD",
                                         "PASSWD", "CREDENTIAL", "KEY"};
  return std::any_of(std::begin(kWords), std::end(kWords),
                     [&](std::string_view word) { return name.find(word) != std::string::npos; });
}

void put(std::vector<model::EnvironmentVariable>& env, model::EnvironmentVariable variable) {
  const auto found = std::find_if(
      env.begin(), env.end(), [&](const auto& existing) { return existing.name == variable.name; });
  if (found == env.end()) {
    env.push_back(std::move(variable));
  } else {
    *found = std::move(variable);
  }
}

}  // namespace

const Variable* find_variable(const BackendDescriptor& descriptor, std::string_view name) {
  for (const auto& variable : descriptor.variables) {
    if (matches(variable.name, name)) return &variable;
  }
  return nullptr;
}

Result<CheckedDeployment> check_deployment(const Backend& backend,
                                           const model::Deployment& deployment,
                                           const model::ModelProfile& profile) {
  const auto& descriptor = backend.descriptor();
  CheckedDeployment checked;
  BERTH_TRY(checked.parameters, parse_parameters(descriptor, deployment.parameters));
  checked.warnings = checked.parameters.warnings;
  for (const auto& [name, value] : deployment.env) {
    const auto* rule = find_variable(descriptor, name);
    if (rule == nullptr || rule->rule == VariableRule::preset) continue;
    return fail(Error{.code = ErrorCode::invalid_parameter,
                      .message = fmt::format("{} can not be set: {}", name, rule->why),
                      .field = "env." + name});
  }
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

std::vector<model::EnvironmentVariable> build_environment(
    const BackendDescriptor& descriptor, const std::map<std::string, std::string>& user,
    const std::vector<model::EnvironmentVariable>& forced, std::vector<std::string>& notes) {
  using model::Owner;
  std::vector<model::EnvironmentVariable> env = {
      {.name = "LANG", .value = "C.UTF-8", .owner = Owner::system},
      {.name = "PATH",
       .value = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
       .owner = Owner::system},
  };
  for (const auto& variable : descriptor.variables) {
    if (variable.rule != VariableRule::preset) continue;
    put(env, {.name = std::string(variable.name),
              .value = std::string(variable.value),
              .owner = Owner::backend});
  }
  for (const auto& [name, value] : user) {
    const auto* rule = find_variable(descriptor, name);
    if (rule != nullptr && rule->rule != VariableRule::preset) {
      notes.push_back(fmt::format("asked {}; not in force: {}", name, rule->why));
      continue;
    }
    put(env, {.name = name, .value = value, .owner = Owner::user, .secret = sounds_secret(name)});
  }
  for (const auto& variable : forced) put(env, variable);
  std::sort(env.begin(), env.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
  return env;
}

Result<std::vector<std::string>> program_of(const LaunchContext& context) {
  if (context.pack.program.empty()) {
    return fail(ErrorCode::unsupported, "engine pack {} names no program", context.pack.name);
  }
  std::vector<std::string> argv;
  for (auto word : context.pack.program) {
    const auto replace = [&](std::string_view name, const std::string& value) -> Result<void> {
      for (auto at = word.find(name); at != std::string::npos;
           at = word.find(name, at + value.size())) {
        if (value.empty()) {
          return fail(ErrorCode::unsupported, "engine pack {} needs {}, which is not there",
                      context.pack.name, name);
        }
        word.replace(at, name.size(), value);
      }
      return {};
    };
    BERTH_CHECK(replace("{pack}", context.pack_folder));
    BERTH_CHECK(replace("{python}", context.pack_python));
    argv.push_back(std::move(word));
  }
  return argv;
}

}  // namespace berth::backends
