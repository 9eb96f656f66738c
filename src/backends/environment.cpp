#include "backends/environment.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace berth::backends {
namespace {

using model::EnvironmentVariable;
using model::Owner;

constexpr std::string_view kPath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
constexpr std::string_view kLibraryPath = "LD_LIBRARY_PATH";

// What of the worker's own environment every engine gets.
constexpr auto kInherited = std::to_array<std::string_view>(
    {"http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy",
     "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "TZ"});

bool matches(std::string_view pattern, std::string_view name) {
  if (pattern.ends_with('*')) return name.starts_with(pattern.substr(0, pattern.size() - 1));
  return pattern == name;
}

bool is_allowed(std::string_view name, std::span<const std::string> allowed) {
  return std::ranges::any_of(allowed,
                             [&](const std::string& pattern) { return matches(pattern, name); });
}

// Whether a variable is likely to hold a secret: HF_TOKEN, AWS_SECRET_ACCESS_KEY, or a proxy with
// the user's password in it.
bool sounds_secret(std::string name, std::string_view value) {
  std::ranges::transform(name, name.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  constexpr std::string_view kWords[] = {"TOKEN", "SECRET", "PASS", "CREDENTIAL", "KEY"};
  if (std::ranges::any_of(kWords, [&](auto word) { return name.find(word) != name.npos; })) {
    return true;
  }
  return value.find("://") != value.npos && value.find('@') != value.npos;
}

EnvironmentVariable variable_of(std::string name, std::string value, Owner owner) {
  const bool secret = sounds_secret(name, value);
  return {.name = std::move(name), .value = std::move(value), .owner = owner, .secret = secret};
}

const EnvironmentVariable* find(const std::vector<EnvironmentVariable>& env,
                                std::string_view name) {
  const auto found = std::ranges::find(env, name, &EnvironmentVariable::name);
  return found == env.end() ? nullptr : &*found;
}

void put(std::vector<EnvironmentVariable>& env, EnvironmentVariable variable) {
  const auto found = std::ranges::find(env, variable.name, &EnvironmentVariable::name);
  if (found == env.end()) {
    env.push_back(std::move(variable));
  } else {
    *found = std::move(variable);
  }
}

// Whether the user's value of a variable under this rule reaches the engine.
bool is_users(const Variable* rule, std::string_view name, std::span<const std::string> allowed) {
  if (rule == nullptr || rule->rule == VariableRule::preset) return true;
  return rule->rule == VariableRule::guarded && is_allowed(name, allowed);
}

// The user's libraries come behind the pack's: an engine must not run on other ones than its own.
EnvironmentVariable behind_packs(const std::vector<EnvironmentVariable>& env,
                                 EnvironmentVariable users) {
  const auto* packs = find(env, kLibraryPath);
  if (users.name == kLibraryPath && packs != nullptr && packs->owner == Owner::backend) {
    users.value = packs->value + ":" + users.value;
  }
  return users;
}

std::string shown(const EnvironmentVariable& variable) {
  return variable.name + "=" + (variable.secret ? "***" : variable.value);
}

// What the user asked for beside what the engine gets.
std::string note_of(const EnvironmentVariable& asked, const Variable& rule,
                    const EnvironmentVariable* in_force) {
  const auto* who =
      rule.rule == VariableRule::guarded ? ", and this worker does not allow it (--allow-env)" : "";
  if (in_force == nullptr) {
    return fmt::format("asked {}; not in force: {}{}", shown(asked), rule.why, who);
  }
  return fmt::format("asked {}; in force {}: {}{}", shown(asked), shown(*in_force), rule.why, who);
}

void add_missing(std::vector<Variable>& rows, std::span<const Variable> more) {
  for (const auto& row : more) {
    if (std::ranges::find(rows, row.name, &Variable::name) == rows.end()) rows.push_back(row);
  }
}

}  // namespace

const Variable* find_variable(const BackendDescriptor& descriptor, std::string_view name) {
  const auto found = std::ranges::find_if(
      descriptor.variables, [&](const Variable& row) { return matches(row.name, name); });
  return found == descriptor.variables.end() ? nullptr : &*found;
}

std::vector<Variable> with_common_variables(std::vector<Variable> own) {
  using enum VariableRule;
  constexpr std::string_view kLoads = "it can load other code into the engine";
  constexpr std::string_view kRuns = "it can make programs that the engine starts run other code";
  constexpr std::string_view kFinds = "Berth finds its processes by it";
  static constexpr Variable kRows[] = {
      {.name = "BERTH_*", .rule = forced, .why = kFinds},
      {.name = "SPT_NOENV", .rule = forced, .why = kFinds},
      {.name = "PATH", .rule = forced, .why = "Berth starts the engine by its own path"},
      {.name = "HOME", .rule = forced, .why = "the engine's home is the instance's folder"},
      // glibc's ld.so(8) and iconv(3).
      {.name = "LD_*", .rule = guarded, .why = kLoads},
      {.name = "GCONV_PATH", .rule = guarded, .why = kLoads},
      {.name = "GLIBC_TUNABLES", .rule = guarded, .why = "it changes how every program is loaded"},
      {.name = "DYLD_*", .rule = guarded, .why = kLoads},
      // Interpreters and shells.
      {.name = "PYTHON*", .rule = guarded, .why = kLoads},
      {.name = "BASH_ENV", .rule = guarded, .why = kRuns},
      {.name = "PERL5*", .rule = guarded, .why = kRuns},
      {.name = "NODE_OPTIONS", .rule = guarded, .why = kRuns},
      // Libraries that load what a variable names.
      {.name = "OPENSSL_*", .rule = guarded, .why = kLoads},
      {.name = "SSLKEYLOGFILE", .rule = guarded, .why = "it writes the keys of connections"},
      {.name = "OMP_TOOL_LIBRARIES", .rule = guarded, .why = kLoads},
      {.name = "CUDA_INJECTION64_PATH", .rule = guarded, .why = kLoads},
      {.name = "NVTX_INJECTION64_PATH", .rule = guarded, .why = kLoads},
      {.name = "HSA_TOOLS_LIB", .rule = guarded, .why = kLoads},
      {.name = "ROCP_TOOL_LIB", .rule = guarded, .why = kLoads},
      {.name = "VK_ICD_FILENAMES", .rule = guarded, .why = kLoads},
      {.name = "VK_DRIVER_FILES", .rule = guarded, .why = kLoads},
      {.name = "VK_ADD_DRIVER_FILES", .rule = guarded, .why = kLoads},
      {.name = "VK_LAYER_PATH", .rule = guarded, .why = kLoads},
      {.name = "VK_ADD_LAYER_PATH", .rule = guarded, .why = kLoads},
      {.name = "OCL_ICD_*", .rule = guarded, .why = kLoads},
      {.name = "OPENCL_VENDOR_PATH", .rule = guarded, .why = kLoads},
  };
  add_missing(own, kRows);
  return own;
}

std::vector<Variable> with_device_variables(std::vector<Variable> own) {
  constexpr std::string_view kPlaced = "it follows from the placement";
  constexpr auto kNames = std::to_array<std::string_view>(
      {"CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES",
       "GPU_DEVICE_ORDINAL", "GGML_VK_VISIBLE_DEVICES", "ASCEND_RT_VISIBLE_DEVICES",
       "MUSA_VISIBLE_DEVICES", "MLU_VISIBLE_DEVICES", "ONEAPI_DEVICE_SELECTOR",
       "ZE_AFFINITY_MASK"});
  for (const auto name : kNames) {
    const Variable row{.name = name, .rule = VariableRule::forced, .why = kPlaced};
    add_missing(own, {&row, 1});
  }
  return own;
}

std::vector<Variable> with_pytorch_variables(std::vector<Variable> own) {
  using enum VariableRule;
  constexpr std::string_view kCompiled = "the engine loads compiled code that it finds there";
  constexpr std::string_view kCompiles = "it names a program that compiles the engine's code";
  constexpr std::string_view kLoads = "it can load other code into the engine";
  static constexpr Variable kRows[] = {
      {.name = "XDG_CACHE_HOME", .rule = guarded, .why = kCompiled},
      {.name = "TORCH_EXTENSIONS_DIR", .rule = guarded, .why = kCompiled},
      {.name = "TORCHINDUCTOR_CACHE_DIR", .rule = guarded, .why = kCompiled},
      {.name = "TRITON_*", .rule = guarded, .why = kCompiled},
      {.name = "HF_MODULES_CACHE", .rule = guarded, .why = "the engine runs Python code from it"},
      {.name = "CC", .rule = guarded, .why = kCompiles},
      {.name = "CXX", .rule = guarded, .why = kCompiles},
      {.name = "CUDA_HOME", .rule = guarded, .why = kCompiles},
      {.name = "CUDA_PATH", .rule = guarded, .why = kCompiles},
      {.name = "ROCM_HOME", .rule = guarded, .why = kCompiles},
      {.name = "ROCM_PATH", .rule = guarded, .why = kCompiles},
      {.name = "NVCC_PREPEND_FLAGS", .rule = guarded, .why = kCompiles},
      {.name = "NVCC_APPEND_FLAGS", .rule = guarded, .why = kCompiles},
      {.name = "NCCL_NET_PLUGIN", .rule = guarded, .why = kLoads},
      {.name = "NCCL_TUNER_PLUGIN", .rule = guarded, .why = kLoads},
      {.name = "NCCL_PROFILER_PLUGIN", .rule = guarded, .why = kLoads},
  };
  add_missing(own, kRows);
  return own;
}

Result<std::vector<std::string>> check_environment(const BackendDescriptor& descriptor,
                                                   const std::map<std::string, std::string>& user,
                                                   std::span<const std::string> allowed) {
  std::vector<std::string> warnings;
  for (const auto& [name, value] : user) {
    const auto* rule = find_variable(descriptor, name);
    if (is_users(rule, name, allowed)) continue;
    if (rule->rule == VariableRule::overridden) {
      warnings.push_back(fmt::format("the variable {} will not be in force: {}", name, rule->why));
      continue;
    }
    auto message = fmt::format("{} can not be set: {}", name, rule->why);
    if (rule->rule == VariableRule::guarded) {
      message += fmt::format(
          "; the server's operator can allow it by \"allow_env: [{}]\" in berth.yaml, or "
          "--allow-env {}",
          name, name);
    }
    return fail(Error{.code = ErrorCode::invalid_parameter,
                      .message = std::move(message),
                      .field = "env." + name});
  }
  return warnings;
}

Result<void> check_allowed(const Registry& registry, std::span<const std::string> allowed) {
  for (const auto& entry : allowed) {
    bool known = false;
    for (const auto* backend : registry.all()) {
      known =
          known || std::ranges::any_of(backend->descriptor().variables, [&](const Variable& row) {
            return row.rule == VariableRule::guarded && !entry.empty() &&
                   (matches(row.name, entry) || matches(entry, row.name));
          });
    }
    if (known) continue;
    return fail(ErrorCode::invalid_parameter,
                "allow_env: \"{}\" is no variable that needs to be allowed; such are LD_PRELOAD, "
                "LD_LIBRARY_PATH, PYTHONPATH, and what \"berth docs backend NAME\" shows as "
                "\"refused unless allowed\"",
                entry);
  }
  return {};
}

Result<std::string> fill_in(std::string text, const LaunchContext& context) {
  const std::pair<std::string_view, const std::string&> places[] = {
      {"{pack}", context.pack_folder}, {"{python}", context.pack_python}};
  for (const auto& [name, value] : places) {
    for (auto at = text.find(name); at != text.npos; at = text.find(name, at + value.size())) {
      if (value.empty()) {
        return fail(ErrorCode::unsupported, "engine pack {} needs {}, which is not there",
                    context.pack.name, name);
      }
      text.replace(at, name.size(), value);
    }
  }
  return text;
}

Result<std::vector<EnvironmentVariable>> build_environment(
    const BackendDescriptor& descriptor, const LaunchContext& context,
    const std::vector<EnvironmentVariable>& forced, std::vector<std::string>& notes) {
  std::vector<EnvironmentVariable> env = {
      {.name = "LANG", .value = "C.UTF-8", .owner = Owner::system},
      {.name = "PATH", .value = std::string(kPath), .owner = Owner::system},
  };
  for (const auto name : kInherited) {
    const auto found = context.system_env.find(std::string(name));
    if (found != context.system_env.end() && !found->second.empty()) {
      put(env, variable_of(found->first, found->second, Owner::system));
    }
  }
  for (const auto& row : descriptor.variables) {
    if (row.value.empty()) continue;
    put(env,
        {.name = std::string(row.name), .value = std::string(row.value), .owner = Owner::backend});
  }
  for (const auto& [name, value] : context.pack.environment) {
    BERTH_TRY(auto filled, fill_in(value, context));
    put(env, variable_of(name, std::move(filled), Owner::backend));
  }
  std::vector<EnvironmentVariable> refused;
  for (const auto& [name, value] : context.deployment.env) {
    auto asked = variable_of(name, value, Owner::user);
    if (is_users(find_variable(descriptor, name), name, context.allowed_env)) {
      put(env, behind_packs(env, std::move(asked)));
    } else {
      refused.push_back(std::move(asked));
    }
  }
  put(env, {.name = "HOME", .value = context.folder, .owner = Owner::berth});
  for (const auto& variable : forced) put(env, variable);
  for (const auto& asked : refused) {
    const auto* rule = find_variable(descriptor, asked.name);
    notes.push_back(note_of(asked, *rule, find(env, asked.name)));
  }
  std::ranges::sort(env, {}, &EnvironmentVariable::name);
  return env;
}

}  // namespace berth::backends
