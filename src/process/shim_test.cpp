// One engine under its shim: how it is started and what is kept of it.
#include "process/shim.h"

#include "process/shim_fixture.h"

#include <csignal>
#include <fstream>
#include <sstream>
#include <sys/resource.h>
#include <sys/stat.h>

#include <gmock/gmock.h>
#include <unistd.h>

namespace berth::process {
namespace {

using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

class Shim : public ShimFixture {};

TEST_F(Shim, KeepsTheEnginesOutputInItsLog) {
  start("echo to stdout; echo to stderr >&2");
  EXPECT_EQ(ended_state().state, ShimPhase::exited);
  EXPECT_EQ(content("attempt-2.log"), "to stdout\nto stderr\n");
}

TEST_F(Shim, KeepsTheExitCode) {
  start("exit 42");
  const ShimState state = ended_state();
  EXPECT_EQ(state.exit_code, 42);
  EXPECT_EQ(state.signal, std::nullopt);
  EXPECT_FALSE(state.stop_requested);
  EXPECT_TRUE(state.ended_at);
}

TEST_F(Shim, KeepsTheSignalThatEndedTheEngine) {
  start("kill -SEGV $$");
  const ShimState state = ended_state();
  EXPECT_EQ(state.exit_code, std::nullopt);
  EXPECT_EQ(state.signal, SIGSEGV);
}

TEST_F(Shim, TellsWhatRunsInItsState) {
  start("exec sleep 1000");
  const ShimState state = state_at(ShimPhase::running);
  EXPECT_EQ(state.state, ShimPhase::running);
  EXPECT_EQ(state.instance, "chat-0");
  EXPECT_EQ(state.generation, 7U);
  EXPECT_EQ(state.attempt, 2U);
  EXPECT_EQ(state.shim_pid, handle_.identity.pid);
  EXPECT_EQ(state.shim_start_time, handle_.identity.start_time);
  EXPECT_EQ(::getsid(state.engine_pid), state.engine_pid);
  EXPECT_NE(::getsid(state.shim_pid), ::getsid(0));
  EXPECT_TRUE(Pidfd::open(ProcessIdentity{state.engine_pid, state.engine_start_time}));
  EXPECT_GT(state.started_at.count(), 0);
}

TEST_F(Shim, ReplacesItsStateByRename) {
  start("touch $D/up; exec sleep 1000");
  state_at(ShimPhase::running);
  std::ifstream old(state_path());
  struct stat before{};
  ASSERT_EQ(::stat(state_path().c_str(), &before), 0);
  ASSERT_TRUE(request_stop(handle_));
  ended_state();
  struct stat after{};
  ASSERT_EQ(::stat(state_path().c_str(), &after), 0);
  EXPECT_NE(before.st_ino, after.st_ino);
  const std::string text{std::istreambuf_iterator<char>(old), {}};
  EXPECT_THAT(text, HasSubstr("\"running\""));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "state.json.next"));
}

TEST_F(Shim, GivesTheEngineExactlyItsEnvironmentAndTheTags) {
  ShimLaunch launch = launch_of("");
  launch.spec.argv = {"/usr/bin/env", "-0"};
  launch.spec.environment = {{"KEY", "a=b\nc"}, {"BERTH_INSTANCE", "forged"}};
  start(launch);
  ended_state();
  std::vector<std::string> variables;
  std::istringstream log(content("attempt-2.log"));
  for (std::string variable; std::getline(log, variable, '\0');) variables.push_back(variable);
  EXPECT_THAT(variables,
              UnorderedElementsAre("KEY=a=b\nc", "BERTH_CLUSTER=" + tag_, "BERTH_INSTANCE=chat-0",
                                   "BERTH_GENERATION=7", "SPT_NOENV=1"));
}

TEST_F(Shim, GivesTheEngineNoDescriptorsNoCoreAndNoBlockedSignals) {
  start("ls /proc/self/fd; ulimit -H -c; grep SigBlk /proc/self/status; readlink /proc/self/fd/0");
  EXPECT_EQ(ended_state().core_limit, 0U);
  // ls itself opens 3 to list the folder.
  EXPECT_EQ(content("attempt-2.log"), "0\n1\n2\n3\n0\nSigBlk:\t0000000000000000\n/dev/null\n");
}

TEST_F(Shim, RemovesTheSpecBecauseItHoldsSecrets) {
  start("exec sleep 1000");
  state_at(ShimPhase::running);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "spec"));
  std::ifstream arguments(fmt::format("/proc/{}/cmdline", handle_.identity.pid));
  const std::string text{std::istreambuf_iterator<char>(arguments), {}};
  EXPECT_THAT(text, ::testing::Not(HasSubstr("sleep")));
}

TEST_F(Shim, RecordsWhyTheEngineCouldNotBeExecuted) {
  ShimLaunch launch = launch_of("");
  launch.spec.argv = {"/no/such/engine"};
  start(launch);
  const ShimState state = ended_state();
  EXPECT_EQ(state.error, "exec /no/such/engine: No such file or directory");
  EXPECT_EQ(state.exit_code, std::nullopt);
  EXPECT_EQ(state.engine_pid, 0);
}

TEST_F(Shim, RecordsThatItsWorkingFolderIsMissing) {
  ShimLaunch launch = launch_of("true");
  launch.spec.working_directory = "/no/such/folder";
  start(launch);
  EXPECT_EQ(ended_state().error, "entering the folder /no/such/folder: No such file or directory");
}

TEST_F(Shim, KeepsTheLogWithinItsLimitAndItsNewestLines) {
  ShimLaunch launch = launch_of("seq 1 200000; echo the end");
  launch.spec.log_limit = 256 << 10;
  start(launch);
  ended_state();
  EXPECT_LE(std::filesystem::file_size(folder_ / "attempt-2.log"), launch.spec.log_limit);
  EXPECT_LE(std::filesystem::file_size(folder_ / "attempt-2.log.1"), launch.spec.log_limit);
  EXPECT_TRUE(content("attempt-2.log").ends_with("200000\nthe end\n"));
  EXPECT_TRUE(content("attempt-2.log.times").ends_with(" 0\n"));  // of the new file
}

// "MILLISECONDS OFFSET", once a second at most.
TEST_F(Shim, NotesBesideTheLogWhenWhatWasWritten) {
  start("echo one; echo two; until test -e $D/go; do sleep 0.1; done; echo three");
  ASSERT_TRUE(eventually([&] { return content("attempt-2.log") == "one\ntwo\n"; }));
  std::istringstream times(content("attempt-2.log.times"));
  std::int64_t first = 0;
  std::uint64_t offset = 7;
  times >> first >> offset;
  EXPECT_EQ(offset, 0U);
  const auto begun = state_at(ShimPhase::running).started_at;
  EXPECT_GE(first, begun.count());
  std::int64_t none = 0;
  EXPECT_FALSE(times >> none);

  using std::chrono::system_clock;
  const auto second = system_clock::time_point(std::chrono::milliseconds(first + 1000));
  ASSERT_TRUE(eventually([&] { return system_clock::now() > second; }));
  std::ofstream(folder_ / "go").put('\n');
  ended_state();
  std::istringstream all(content("attempt-2.log.times"));
  std::int64_t later = 0;
  all >> first >> offset >> later >> offset;
  EXPECT_GE(later, first + 1000);
  EXPECT_EQ(offset, 8U);
}

TEST_F(Shim, DropsAndCountsOutputThatCanNotBeWritten) {
  ShimLaunch launch = launch_of("head -c 300000 /dev/zero; touch $D/not-blocked");
  launch.spec.log_path = "/dev/full";
  start(launch);
  const ShimState state = ended_state();
  EXPECT_TRUE(std::filesystem::exists(folder_ / "not-blocked"));
  EXPECT_EQ(state.log_dropped_bytes, 300000U);
}

TEST_F(Shim, IsSmallInMemory) {
  start("exec sleep 1000");
  state_at(ShimPhase::running);
  std::ifstream statm(fmt::format("/proc/{}/statm", handle_.identity.pid));
  std::uint64_t size = 0;
  std::uint64_t resident = 0;
  statm >> size >> resident;
  EXPECT_LE(resident * static_cast<std::uint64_t>(::getpagesize()), (2_MiB).count);
}

TEST_F(Shim, IsRefusedWithoutAProgram) {
  ShimLaunch launch = launch_of("");
  launch.spec.argv.clear();
  const auto handle = start_shim(launch);
  ASSERT_FALSE(handle);
  EXPECT_EQ(handle.error().code, ErrorCode::invalid_parameter);
}

TEST_F(Shim, ThatIsNotInstalledLeavesNoSpecBehind) {
  ShimLaunch launch = launch_of("true");
  launch.program = "/no/such/shim";
  const auto handle = start_shim(launch);
  ASSERT_FALSE(handle);
  EXPECT_THAT(handle.error().to_string(), HasSubstr("No such file or directory"));
  EXPECT_FALSE(std::filesystem::exists(folder_ / "spec"));
}

TEST_F(Shim, WithADamagedStateFileIsReportedAsCorrupt) {
  std::ofstream(state_path()) << "{\"version\": 1, \"inst";
  const auto state = read_shim_state(state_path());
  ASSERT_FALSE(state);
  EXPECT_EQ(state.error().code, ErrorCode::corrupt);
  EXPECT_EQ(read_shim_state(folder_ / "other").error().code, ErrorCode::not_found);
}

TEST_F(Shim, IsAdoptedByItsState) {
  start("exec sleep 1000");
  const auto adopted = adopt(state_at(ShimPhase::running));
  ASSERT_TRUE(adopted) << adopted.error().to_string();
  EXPECT_EQ(adopted->identity, handle_.identity);
  ASSERT_TRUE(request_stop(*adopted));
  EXPECT_EQ(ended_state().signal, SIGTERM);
  EXPECT_EQ(adopt(state_at(ShimPhase::exited)).error().code, ErrorCode::not_found);
}

TEST_F(Shim, IsNotAdoptedIfItsPidHasANewOwner) {
  start("exec sleep 1000");
  ShimState state = state_at(ShimPhase::running);
  state.shim_start_time -= 1;
  EXPECT_EQ(adopt(state).error().code, ErrorCode::not_found);
}

TEST_F(Shim, IsNotAdoptedFromAnotherBoot) {
  start("exec sleep 1000");
  ShimState state = state_at(ShimPhase::running);
  state.boot_id = "00000000-0000-0000-0000-000000000000";
  EXPECT_EQ(adopt(state).error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace berth::process
