#include "backends/environment.h"

#include "backends/check.h"

#include <algorithm>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::backends {
namespace {

using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Variables = std::map<std::string, std::string>;

const BackendDescriptor& descriptor_of(std::string_view backend) {
  return builtin_backends().find(backend)->descriptor();
}

// A variable that a row is about: its wildcard filled in.
std::string example_of(const Variable& row) {
  std::string name(row.name);
  if (name.ends_with('*')) name.replace(name.size() - 1, 1, "SOMETHING");
  return name;
}

// What a launch has in hand, as far as the environment is concerned.
struct Launch {
  Variables user = {};
  Variables system = {};
  std::vector<std::string> allowed = {};
  Variables pack = {};
  std::vector<std::string> notes = {};

  std::vector<model::EnvironmentVariable> environment(
      std::string_view backend, const std::vector<model::EnvironmentVariable>& forced = {}) {
    model::Deployment deployment;
    deployment.env = user;
    model::EnginePack engine;
    engine.name = "one";
    engine.environment = pack;
    const model::ModelProfile profile;
    const model::Placement placement;
    const model::Worker worker;
    auto env = build_environment(descriptor_of(backend),
                                 {.deployment = deployment,
                                  .profile = profile,
                                  .placement = placement,
                                  .serving = {},
                                  .pack = engine,
                                  .pack_folder = "/packs/one",
                                  .pack_python = "/packs/one/bin/python",
                                  .worker = worker,
                                  .instance = "chat-x7k2",
                                  .folder = "/instance",
                                  .engine_key = "key",
                                  .ports = {},
                                  .system_env = system,
                                  .allowed_env = allowed},
                                 forced, notes);
    return env.value();
  }

  // "value by owner" of a variable in force.
  std::string in_force(std::string_view name, std::string_view backend = "llama-box",
                       const std::vector<model::EnvironmentVariable>& forced = {}) {
    const auto env = environment(backend, forced);
    const auto found = std::ranges::find(env, name, &model::EnvironmentVariable::name);
    if (found == env.end()) return "(none)";
    return fmt::format("{} by {}{}", found->value, enum_name(found->owner),
                       found->secret ? ", secret" : "");
  }
};

class EveryBackend : public ::testing::TestWithParam<std::string> {};
INSTANTIATE_TEST_SUITE_P(Backends, EveryBackend,
                         ::testing::Values("llama-box", "vllm", "vox-box", "ascend-mindie"),
                         [](const auto& info) {
                           std::string name = info.param;
                           std::ranges::replace(name, '-', '_');
                           return name;
                         });

TEST_P(EveryBackend, SaysOfEachVariableWhyAndNamesItOnce) {
  std::set<std::string_view> names;
  for (const auto& row : descriptor_of(GetParam()).variables) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name << " has two rows";
    EXPECT_FALSE(row.why.empty()) << row.name;
    EXPECT_FALSE(row.rule == VariableRule::preset && row.value.empty()) << row.name;
    EXPECT_FALSE(row.name.ends_with('*') && !row.value.empty()) << row.name;
    EXPECT_EQ(find_variable(descriptor_of(GetParam()), example_of(row)), &row)
        << row.name << " is hidden by an earlier row";
  }
}

// The promise of the whole: set every variable that the backend knows, on the worker, and the
// engine's environment is as if none had been.
TEST_P(EveryBackend, GetsNothingOfTheWorkersOwnVariables) {
  Launch hijacked;
  for (const auto& row : descriptor_of(GetParam()).variables) {
    hijacked.system[example_of(row)] = "hijacked";
  }
  for (const char* name : {"LLAMA_ARG_PORT", "VLLM_PORT", "RAY_ADDRESS", "WORLD_SIZE", "MY_OWN"}) {
    hijacked.system[name] = "hijacked";
  }
  EXPECT_EQ(to_json(hijacked.environment(GetParam())), to_json(Launch().environment(GetParam())));
}

TEST_P(EveryBackend, TakesFromTheUserWhatItsTableSays) {
  const auto& descriptor = descriptor_of(GetParam());
  for (const auto& row : descriptor.variables) {
    const auto name = example_of(row);
    const auto checked = check_environment(descriptor, {{name, "x"}}, {});
    Launch launch{.user = {{name, "x"}}};
    const auto in_force = launch.in_force(name, GetParam());
    switch (row.rule) {
      case VariableRule::preset:
        EXPECT_THAT(checked.value(), IsEmpty());
        EXPECT_THAT(in_force, HasSubstr("x by user"));
        EXPECT_THAT(launch.notes, IsEmpty());
        break;
      case VariableRule::overridden:
        EXPECT_THAT(checked.value(), ElementsAre(HasSubstr(name)));
        EXPECT_THAT(in_force, Not(HasSubstr("by user")));
        EXPECT_THAT(launch.notes, ElementsAre(HasSubstr(name)));
        break;
      case VariableRule::forced:
      case VariableRule::removed:
      case VariableRule::guarded:
        ASSERT_FALSE(checked) << name;
        EXPECT_EQ(checked.error().field, "env." + name);
        EXPECT_THAT(in_force, Not(HasSubstr("by user"))) << name;
        EXPECT_THAT(launch.notes, ElementsAre(HasSubstr(name)));
        break;
    }
  }
}

TEST_P(EveryBackend, LetsNoDeploymentChooseWhatCodeRuns) {
  for (const char* name : {"LD_PRELOAD", "LD_LIBRARY_PATH", "LD_AUDIT", "PYTHONPATH",
                           "PYTHONSTARTUP", "PYTHONHOME", "GCONV_PATH", "CUDA_INJECTION64_PATH"}) {
    const auto checked = check_environment(descriptor_of(GetParam()), {{name, "/evil"}}, {});
    ASSERT_FALSE(checked) << name;
    EXPECT_THAT(checked.error().message,
                AllOf(HasSubstr(name), HasSubstr("allow_env"), HasSubstr("operator")));
  }
}

TEST(CheckEnvironment, LetsTheOperatorAllowGuardedVariablesOnly) {
  const auto& descriptor = descriptor_of("llama-box");
  const std::vector<std::string> all = {"*"};
  EXPECT_TRUE(check_environment(descriptor, {{"LD_PRELOAD", "/l.so"}}, all));
  EXPECT_FALSE(check_environment(descriptor, {{"CUDA_VISIBLE_DEVICES", "0"}}, all));
  EXPECT_FALSE(check_environment(descriptor, {{"LLAMA_ARG_PORT", "1"}}, all));
  const std::vector<std::string> python = {"PYTHON*"};
  EXPECT_TRUE(check_environment(descriptor, {{"PYTHONPATH", "/p"}}, python));
  EXPECT_FALSE(check_environment(descriptor, {{"LD_PRELOAD", "/l.so"}}, python));
}

TEST(CheckAllowed, RefusesWhatNeedsNoLeaveOrCanHaveNone) {
  const auto check = [](const char* entry) {
    const std::vector<std::string> list = {entry};
    return check_allowed(builtin_backends(), list);
  };
  for (const char* good : {"LD_PRELOAD", "LD_*", "PYTHONPATH", "PYTHON*", "VLLM_PLUGINS", "*"}) {
    EXPECT_TRUE(check(good)) << good;
  }
  for (const char* bad : {"", "LD", "MY_OWN", "CUDA_VISIBLE_DEVICES", "BERTH_*", "ld_preload"}) {
    const auto checked = check(bad);
    ASSERT_FALSE(checked) << bad;
    EXPECT_THAT(checked.error().message, HasSubstr(fmt::format("\"{}\"", bad)));
  }
}

TEST(BuildEnvironment, SaysWhoSetWhat) {
  Launch launch{.user = {{"OMP_WAIT_POLICY", "active"}, {"A", "b"}}, .pack = {{"P", "{pack}/lib"}}};
  EXPECT_EQ(launch.in_force("OMP_WAIT_POLICY"), "active by user");
  EXPECT_EQ(launch.in_force("A"), "b by user");
  EXPECT_EQ(launch.in_force("P"), "/packs/one/lib by backend");
  EXPECT_EQ(launch.in_force("HOME"), "/instance by berth");
  EXPECT_EQ(launch.in_force("LANG"), "C.UTF-8 by system");
  EXPECT_EQ(Launch().in_force("OMP_WAIT_POLICY"), "passive by backend");
  EXPECT_EQ(Launch().in_force("VLLM_NO_USAGE_STATS", "vllm"), "1 by backend");
}

TEST(BuildEnvironment, TakesProxiesAndCertificatesOfTheWorker) {
  Launch launch{.system = {{"https_proxy", "http://proxy:3128"},
                           {"HTTP_PROXY", "http://me:word@proxy:3128"},
                           {"NO_PROXY", ""},
                           {"SSL_CERT_FILE", "/ca.pem"}}};
  EXPECT_EQ(launch.in_force("https_proxy"), "http://proxy:3128 by system");
  EXPECT_EQ(launch.in_force("HTTP_PROXY"), "http://me:word@proxy:3128 by system, secret");
  EXPECT_EQ(launch.in_force("SSL_CERT_FILE"), "/ca.pem by system");
  EXPECT_EQ(launch.in_force("NO_PROXY"), "(none)");
  launch.user["https_proxy"] = "http://other";
  EXPECT_EQ(launch.in_force("https_proxy"), "http://other by user");
}

TEST(BuildEnvironment, NotesWhatWasAskedBesideWhatIsInForce) {
  Launch launch{.user = {{"CUDA_VISIBLE_DEVICES", "7"}}};
  launch.environment("llama-box", {{.name = "CUDA_VISIBLE_DEVICES", .value = "0"}});
  EXPECT_THAT(launch.notes, ElementsAre("asked CUDA_VISIBLE_DEVICES=7; in force "
                                        "CUDA_VISIBLE_DEVICES=0: it follows from the placement"));
  Launch mindie{.user = {{"MINDIE_LLM_FRAMEWORK_BACKEND", "MS"}, {"RANK_TABLE_FILE", "/r"}}};
  mindie.environment("ascend-mindie");
  EXPECT_THAT(mindie.notes, ElementsAre(HasSubstr("asked MINDIE_LLM_FRAMEWORK_BACKEND=MS; in force "
                                                  "MINDIE_LLM_FRAMEWORK_BACKEND=ATB"),
                                        HasSubstr("asked RANK_TABLE_FILE=/r; not in force")));
}

TEST(BuildEnvironment, ShowsNoSecretInItsNotes) {
  Launch launch{.user = {{"LLAMA_API_KEY", "hunter2"}}};
  launch.environment("llama-box", {{.name = "LLAMA_API_KEY", .value = "own", .secret = true}});
  EXPECT_THAT(launch.notes, ElementsAre(AllOf(HasSubstr("asked LLAMA_API_KEY=***"),
                                              Not(HasSubstr("hunter2")), Not(HasSubstr("own")))));
}

TEST(BuildEnvironment, LeavesOutWhatTheWorkersOperatorDoesNotAllow) {
  Launch launch{.user = {{"LD_PRELOAD", "/l.so"}}};
  EXPECT_EQ(launch.in_force("LD_PRELOAD"), "(none)");
  EXPECT_THAT(launch.notes, Contains(HasSubstr("this worker does not allow it")));
  launch = {.user = {{"LD_PRELOAD", "/l.so"}}, .allowed = {"LD_PRELOAD"}};
  EXPECT_EQ(launch.in_force("LD_PRELOAD"), "/l.so by user");
  EXPECT_THAT(launch.notes, IsEmpty());
}

TEST(BuildEnvironment, PutsThePacksLibrariesFirst) {
  Launch launch{.user = {{"LD_LIBRARY_PATH", "/users"}},
                .allowed = {"LD_*"},
                .pack = {{"LD_LIBRARY_PATH", "{pack}/lib"}}};
  EXPECT_EQ(launch.in_force("LD_LIBRARY_PATH"), "/packs/one/lib:/users by user");
  launch.allowed.clear();
  EXPECT_EQ(launch.in_force("LD_LIBRARY_PATH"), "/packs/one/lib by backend");
  launch.pack.clear();
  launch.allowed = {"*"};
  EXPECT_EQ(launch.in_force("LD_LIBRARY_PATH"), "/users by user");
}

}  // namespace
}  // namespace berth::backends
