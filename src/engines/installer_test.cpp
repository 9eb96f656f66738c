#include "engines/installer.h"

#include "base/files.h"
#include "engines/finder.h"
#include "engines/test_support.h"

#include <atomic>
#include <thread>

#include <gmock/gmock.h>

namespace berth::engines {
namespace {

namespace fs = std::filesystem;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

CatalogueEntry entry_of(const std::string& version = "1.0") {
  return {.pack = {.name = "engine",
                   .version = version,
                   .kind = model::PackKind::wheel,
                   .platforms = {"linux/amd64"},
                   .program = {"{python}", "{pack}/launcher.py"}},
          .install = InstallRecipe{.requirements = "requirements.lock",
                                   .files = {"launcher.py"},
                                   .check = {"{python}", "-c", "import engine"},
                                   .python = ">=3.10",
                                   .download = 30_MiB,
                                   .installed = 100_MiB,
                                   .system_libraries = {{"libgomp.so.1", "libgomp1"}}},
          .source = "engines/engine/pack.toml",
          .files = {{"requirements.lock", "engine==1.0 --hash=sha256:00\n"},
                    {"launcher.py", "print()\n"}}};
}

// A pack whose package is compiled here.
CatalogueEntry compiled_entry() {
  auto entry = entry_of();
  entry.pack.compiled = true;
  entry.install->finish = {"{python}", "{pack}/launcher.py"};
  entry.install->compile =
      CompileRecipe{.requirements = "build.lock",
                    .environment = {{"JOBS", "{cores}"}, {"INCLUDE", "{pack}/judge.cmake"}},
                    .tools = {{"c++", "g++"}},
                    .scratch = 1_GiB};
  entry.files["build.lock"] = "cmake==4 --hash=sha256:22\n";
  return entry;
}

class InstallerTest : public ::testing::Test {
 protected:
  InstallerOptions options() {
    return {.data_dir = data_.path(),
            .environment = {{"PATH", "/usr/bin"}, {"PIP_TARGET", "/elsewhere"}},
            .platform = "linux/amd64",
            .uv_lock = "uv==1 --hash=sha256:11\n",
            .space = std::make_shared<SpaceLedger>([this](const fs::path&) { return space_; }),
            .lock_timeout = std::chrono::milliseconds(200)};
  }
  // What is in the packs' folder, locks left out.
  std::vector<std::string> in_packs(const std::string& folder = "packs") {
    std::vector<std::string> names;
    std::error_code error;
    for (const auto& it : fs::directory_iterator(data_.path() / folder, error)) {
      const auto name = it.path().filename().string();
      if (!name.starts_with(".lock-")) names.push_back(name);
    }
    return names;
  }
  [[nodiscard]] fs::path packs() const { return data_.path() / "packs"; }

  testing::TestFolder data_;
  testing::FakeCommands commands_;
  fs::space_info space_{.capacity = 100ULL << 30, .free = 50ULL << 30, .available = 50ULL << 30};
};

TEST_F(InstallerTest, MakesUvThenThePackAndLeavesOnlyTheCompleteFolder) {
  Installer installer(options(), commands_);
  std::vector<std::string> steps;
  double last = 0;
  const auto status = installer.install(entry_of(), [&](const InstallProgress& progress) {
    steps.push_back(progress.step);
    EXPECT_GE(progress.fraction.value_or(0), last);
    last = progress.fraction.value_or(0);
  });
  ASSERT_TRUE(status) << status.error().to_string();
  EXPECT_EQ(status->state, model::PackState::installed);
  EXPECT_EQ(status->folder, (packs() / "engine-1.0").string());
  EXPECT_THAT(in_packs(), ElementsAre("engine-1.0"));
  EXPECT_THAT(in_packs("tools"), ElementsAre("uv"));
  EXPECT_EQ(*read_file(packs() / "engine-1.0" / "launcher.py"), "print()\n");
  EXPECT_THAT(steps, Contains("downloading engine (33.2MiB)"));
  EXPECT_EQ(last, 1.0);
  EXPECT_EQ(commands_.count("--require-hashes"), 2);
  ASSERT_THAT(installer.installed(), SizeIs(1));
  EXPECT_GT(status->size.count, 0U);
}

TEST_F(InstallerTest, RunsUvInItsOwnEnvironmentWithPipsIndex) {
  Installer installer(options(), commands_);
  ASSERT_TRUE(installer.install(entry_of()));
  const auto found = std::ranges::find_if(commands_.spawned, [](const auto& spawn) {
    return spawn.argv.size() > 2 && spawn.argv[1] == "pip" && spawn.argv[2] == "install";
  });
  ASSERT_NE(found, commands_.spawned.end());
  EXPECT_THAT(*found->environment, Contains(std::pair<std::string, std::string>(
                                       "UV_DEFAULT_INDEX", "https://mirror.test/simple")));
  EXPECT_THAT(*found->environment,
              Contains(std::pair<std::string, std::string>("UV_PYTHON_DOWNLOADS", "never")));
  EXPECT_THAT(*found->environment, ::testing::Not(Contains(::testing::Key("PIP_TARGET"))));
}

TEST_F(InstallerTest, DoesNothingForAPackThatIsInstalledAndRenewsOneFromAnotherRecipe) {
  Installer installer(options(), commands_);
  ASSERT_TRUE(installer.install(entry_of()));
  const auto before = commands_.asked.size();
  ASSERT_TRUE(installer.install(entry_of()));
  EXPECT_EQ(commands_.asked.size(), before);
  auto changed = entry_of();
  changed.files["launcher.py"] = "print(2)\n";
  ASSERT_TRUE(installer.install(changed));
  EXPECT_EQ(*read_file(packs() / "engine-1.0" / "launcher.py"), "print(2)\n");
  EXPECT_THAT(in_packs(), ElementsAre("engine-1.0"));
  EXPECT_EQ(commands_.count("-m venv"), 1) << "uv is made once";
}

TEST_F(InstallerTest, LeavesNothingBehindWhicheverStepFails) {
  for (const auto* step :
       {"-m venv", "-m pip install", "pip config", "uv venv", "uv pip install", "import engine"}) {
    fs::remove_all(data_.path() / "tools");
    commands_.intercept =
        [&](const std::string& command) -> std::optional<Result<process::RunOutput>> {
      if (command.find(step) == std::string::npos) return std::nullopt;
      return process::RunOutput{.exit_code = 1, .standard_error = "one\nthe reason\n"};
    };
    Installer installer(options(), commands_);
    const auto status = installer.install(entry_of());
    ASSERT_FALSE(status) << step;
    EXPECT_EQ(status.error().code, ErrorCode::io);
    EXPECT_THAT(status.error().to_string(), HasSubstr("the reason"));
    EXPECT_THAT(in_packs(), IsEmpty()) << step;
    EXPECT_THAT(in_packs("tools"), ::testing::Each(std::string("uv"))) << step;
    EXPECT_THAT(installer.installed(), IsEmpty());
  }
  commands_.intercept = nullptr;
  EXPECT_TRUE(Installer(options(), commands_).install(entry_of()));
}

TEST_F(InstallerTest, NamesTheAptPackageOfWhatIsMissing) {
  struct Case {
    std::string command;
    Result<process::RunOutput> answer;
    std::string expected;
  };
  const std::vector<Case> cases = {
      {"python3 -I -c", fail(ErrorCode::not_found, "starting python3"), "apt install python3 "},
      {"python3 -I -c",
       process::RunOutput{.exit_code = 1, .standard_output = "3.11\n/usr/bin/python3\n"},
       "apt install python3-venv"},
      {"python3 -I -c", process::RunOutput{.standard_output = "3.8\n/usr/bin/python3\nvenv\n"},
       "needs >=3.10"},
      {"import engine",
       process::RunOutput{.exit_code = 1,
                          .standard_error = "ImportError: libgomp.so.1: cannot open shared …"},
       "apt install libgomp1"},
      {"c++ --version", fail(ErrorCode::not_found, "starting c++"), "apt install g++"},
  };
  for (const auto& missing : cases) {
    commands_.intercept =
        [&](const std::string& command) -> std::optional<Result<process::RunOutput>> {
      if (command.find(missing.command) == std::string::npos) return std::nullopt;
      return missing.answer;
    };
    const auto status = Installer(options(), commands_).install(compiled_entry());
    ASSERT_FALSE(status) << missing.expected;
    EXPECT_EQ(status.error().code, ErrorCode::unavailable) << missing.expected;
    EXPECT_THAT(status.error().message, HasSubstr(missing.expected));
  }
}

TEST_F(InstallerTest, CompilesWhatComesAsSourceOnlyWithPinnedTools) {
  auto with_compiler = options();
  with_compiler.environment["CXX"] = "my-c++";
  Installer installer(with_compiler, commands_);
  const auto status = installer.install(compiled_entry());
  ASSERT_TRUE(status) << status.error().to_string();
  const auto find = [&](const std::string& part) {
    return std::ranges::find_if(commands_.asked, [&](const std::string& command) {
      return command.find(part) != std::string::npos;
    });
  };
  const auto needs = find("build.lock");
  const auto build = find("--no-build-isolation");
  const auto remove = find("uv pip uninstall");
  const auto finish = find("launcher.py");
  ASSERT_NE(finish, commands_.asked.end());
  EXPECT_TRUE(needs < build && build < remove && remove < finish);
  EXPECT_THAT(*needs, HasSubstr("--no-build ")) << "what builds is not itself built";
  EXPECT_THAT(*needs, HasSubstr("--require-hashes"));
  EXPECT_THAT(*build, HasSubstr("--require-hashes"));
  EXPECT_THAT(*remove, HasSubstr("build.lock"));

  const auto& spawn = commands_.spawned[static_cast<std::size_t>(build - commands_.asked.begin())];
  const std::map<std::string, std::string> environment(spawn.environment->begin(),
                                                       spawn.environment->end());
  EXPECT_EQ(environment.at("CXX"), "my-c++");
  EXPECT_GE(std::stoi(environment.at("JOBS")), 1);
  const auto folder = spawn.working_directory.string();
  EXPECT_EQ(environment.at("INCLUDE"), folder + "/judge.cmake");
  EXPECT_EQ(environment.at("PATH"), folder + "/venv/bin:/usr/bin");
}

TEST_F(InstallerTest, LeavesNothingBehindWhicheverStepOfACompilationFails) {
  for (const auto* step : {"build.lock", "--no-build-isolation", "pip uninstall", "launcher.py"}) {
    commands_.intercept =
        [&](const std::string& command) -> std::optional<Result<process::RunOutput>> {
      if (command.find(step) == std::string::npos) return std::nullopt;
      return process::RunOutput{.exit_code = 1, .standard_error = "the reason\n"};
    };
    const auto status = Installer(options(), commands_).install(compiled_entry());
    ASSERT_FALSE(status) << step;
    EXPECT_THAT(status.error().to_string(), HasSubstr("the reason"));
    EXPECT_THAT(in_packs(), IsEmpty()) << step;
  }
}

TEST_F(InstallerTest, AsksForTheRoomThatACompilationTakes) {
  space_.available = (5ULL << 30) + (1ULL << 30);
  EXPECT_TRUE(Installer(options(), commands_).install(entry_of()));
  const auto status = Installer(options(), commands_).install(compiled_entry());
  ASSERT_FALSE(status);
  EXPECT_THAT(status.error().message, HasSubstr("1.1 GiB"));
}

TEST_F(InstallerTest, KeepsTheLastFivePercentOfTheDiskFree) {
  space_.available = (5ULL << 30) + (100ULL << 20);
  const auto status = Installer(options(), commands_).install(entry_of());
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::unavailable);
  EXPECT_THAT(status.error().message, HasSubstr("130.0 MiB"));
  EXPECT_EQ(commands_.count("venv "), 0);
}

TEST_F(InstallerTest, RefusesAnotherPlatformAndAProgramOfTheMachine) {
  auto entry = entry_of();
  entry.pack.platforms = {"linux/arm64"};
  EXPECT_EQ(Installer(options(), commands_).install(entry).error().code, ErrorCode::unsupported);
  entry = entry_of();
  entry.pack.kind = model::PackKind::system;
  EXPECT_EQ(Installer(options(), commands_).install(entry).error().code, ErrorCode::unsupported);
}

TEST_F(InstallerTest, StopsWhenItIsCancelledAndLeavesNothing) {
  std::stop_source stop;
  commands_.intercept =
      [&](const std::string& command) -> std::optional<Result<process::RunOutput>> {
    if (command.starts_with("uv pip install")) stop.request_stop();
    return std::nullopt;
  };
  const auto status = Installer(options(), commands_).install(entry_of(), {}, stop.get_token());
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::cancelled);
  EXPECT_THAT(in_packs(), IsEmpty());
}

TEST_F(InstallerTest, InstallsOnceHoweverManyAsk) {
  std::atomic<int> installations = 0;
  std::vector<testing::FakeCommands> commands(4);
  std::vector<std::thread> threads;
  threads.reserve(commands.size());
  auto patient = options();
  patient.lock_timeout = std::chrono::minutes(1);
  for (auto& mine : commands) {
    threads.emplace_back([&patient, &mine, &installations] {
      EXPECT_TRUE(Installer(patient, mine).install(entry_of()));
      installations += mine.count("uv pip install");
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(installations, 1);
}

TEST_F(InstallerTest, SaysThatAnotherInstallationStillRuns) {
  fs::create_directories(packs());
  const auto held = FileLock::try_acquire(packs() / ".lock-engine");
  ASSERT_TRUE(held);
  std::vector<std::string> steps;
  const auto status =
      Installer(options(), commands_).install(entry_of(), [&](const InstallProgress& progress) {
        steps.push_back(progress.step);
      });
  ASSERT_FALSE(status);
  EXPECT_EQ(status.error().code, ErrorCode::timeout);
  EXPECT_THAT(steps, ElementsAre(HasSubstr("waiting")));
}

TEST_F(InstallerTest, SweepsLeftoversWhoseInstallationHasEnded) {
  testing::write(packs() / ".tmp-engine-abcd1234" / "venv" / "x", "");
  testing::write(packs() / ".tmp-other-one-abcd1234" / "x", "");
  testing::write(data_.path() / "tools" / ".tmp-uv-abcd1234" / "x", "");
  auto held = FileLock::try_acquire(packs() / ".lock-other-one");
  ASSERT_TRUE(held);
  Installer installer(options(), commands_);
  EXPECT_EQ(installer.sweep(), 2U);
  EXPECT_THAT(in_packs(), ElementsAre(".tmp-other-one-abcd1234"));
}

TEST_F(InstallerTest, RemovesAPackThatNobodyUses) {
  Installer installer(options(), commands_);
  ASSERT_TRUE(installer.install(entry_of()));
  const auto used = installer.remove("engine", "", [](const InstalledPack&) { return true; });
  ASSERT_FALSE(used);
  EXPECT_EQ(used.error().code, ErrorCode::conflict);
  EXPECT_THAT(installer.installed(), SizeIs(1));
  EXPECT_THAT(installer.remove("engine", "1.0", {}).value(), SizeIs(1));
  EXPECT_THAT(in_packs(), IsEmpty());
  EXPECT_EQ(installer.remove("engine", "", {}).error().code, ErrorCode::not_found);
}

TEST_F(InstallerTest, PrunesOldVersionsAndTheCacheButKeepsWhatIsUsed) {
  Installer installer(options(), commands_);
  for (const auto* version : {"0.8", "0.9", "1.0"}) {
    ASSERT_TRUE(installer.install(entry_of(version)));
  }
  testing::write(data_.path() / "cache" / "uv" / "wheel", std::string(1000, 'x'));
  const auto freed = installer.prune(
      {{entry_of("1.0")}}, [](const InstalledPack& pack) { return pack.version == "0.9"; });
  ASSERT_TRUE(freed) << freed.error().to_string();
  EXPECT_GT(freed->count, 1000U);
  EXPECT_THAT(in_packs(), ::testing::UnorderedElementsAre("engine-0.9", "engine-1.0"));
  EXPECT_FALSE(fs::exists(data_.path() / "cache" / "uv"));
}

}  // namespace
}  // namespace berth::engines
