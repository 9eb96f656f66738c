// The end of an engine, in every way it can come: asked for, by itself, or by force.
#include "process/shim_fixture.h"

#include <csignal>
#include <sys/wait.h>

#include <unistd.h>

namespace berth::process {
namespace {

class ShimEnd : public ShimFixture {
 protected:
  // A family: a child, a grandchild, one that detached itself into a session of its own, and one
  // that did so with an empty environment. Each makes the file that says it is there.
  static constexpr const char* kFamily =
      "sh -c 'sh -c \"touch $D/grandchild; exec sleep 1000\" & touch $D/child; exec sleep 1000' & "
      "setsid sh -c 'trap \"\" TERM HUP; touch $D/daemon; while :; do sleep 1000; done' & "
      "setsid env -i sh -c 'echo $$ > '$D'/nameless.new; mv '$D'/nameless.new '$D'/nameless; exec "
      "sleep 1000' & ";

  [[nodiscard]] bool family_is_there() const {
    return wait_for_file("child") && wait_for_file("grandchild") && wait_for_file("daemon") &&
           wait_for_file("nameless");
  }
  [[nodiscard]] bool nameless_is_gone() const {
    const pid_t pid = std::stoi(content("nameless"));
    return eventually([pid] { return ::kill(pid, 0) != 0; });
  }
};

TEST_F(ShimEnd, StopsTheEngineByItsStopSignal) {
  ShimLaunch launch =
      launch_of("trap 'echo bye; exit 3' INT; touch $D/up; while :; do sleep 0.01; done");
  launch.spec.stop_signal = SIGINT;
  start(launch);
  ASSERT_TRUE(wait_for_file("up"));
  ASSERT_TRUE(request_stop(handle_));
  const ShimState state = ended_state();
  EXPECT_EQ(state.exit_code, 3);
  EXPECT_TRUE(state.stop_requested);
  EXPECT_EQ(content("attempt-2.log"), "bye\n");
}

TEST_F(ShimEnd, ReachesAnEngineThatIsSuspended) {
  start("touch $D/up; kill -STOP $$");
  ASSERT_TRUE(wait_for_file("up"));
  ASSERT_TRUE(request_stop(handle_));
  EXPECT_EQ(ended_state().signal, SIGTERM);
}

TEST_F(ShimEnd, KillsAnEngineThatIgnoresTheSignalOnceTheGraceIsOver) {
  ShimLaunch launch = launch_of("trap '' TERM; touch $D/up; while :; do sleep 0.01; done");
  launch.spec.stop_grace_milliseconds = 50;
  start(launch);
  ASSERT_TRUE(wait_for_file("up"));
  ASSERT_TRUE(request_stop(handle_));
  const ShimState state = ended_state();
  EXPECT_EQ(state.signal, SIGKILL);
  EXPECT_TRUE(state.stop_requested);
}

TEST_F(ShimEnd, WaitsForNoGraceWhenAskedToKill) {
  ShimLaunch launch = launch_of("trap '' TERM; touch $D/up; while :; do sleep 0.01; done");
  launch.spec.stop_grace_milliseconds = 3'600'000;
  start(launch);
  ASSERT_TRUE(wait_for_file("up"));
  ASSERT_TRUE(request_stop(handle_));
  EXPECT_EQ(state_at(ShimPhase::stopping).state, ShimPhase::stopping);
  ASSERT_TRUE(request_kill(handle_));
  EXPECT_EQ(ended_state().signal, SIGKILL);
}

TEST_F(ShimEnd, LosesNoStopThatComesBeforeTheEngine) {
  start("exec sleep 1000");
  ASSERT_TRUE(request_stop(handle_));
  const ShimState state = ended_state();
  EXPECT_TRUE(state.stop_requested);
  EXPECT_EQ(state.signal, SIGTERM);
}

TEST_F(ShimEnd, OfAnEndedShimMayBeAskedForAgain) {
  start("true");
  ended_state();
  EXPECT_TRUE(request_stop(handle_));
  EXPECT_TRUE(request_kill(handle_));
  EXPECT_TRUE(kill_shim(handle_));
}

TEST_F(ShimEnd, TakesAllDescendantsWhenStopped) {
  start(std::string(kFamily) + "wait");
  ASSERT_TRUE(family_is_there());
  ASSERT_TRUE(request_stop(handle_));
  EXPECT_EQ(ended_state().signal, SIGTERM);
  EXPECT_TRUE(ours().empty());
  EXPECT_TRUE(nameless_is_gone());
}

TEST_F(ShimEnd, TakesAllDescendantsWhenTheEngineEndsByItself) {
  start(std::string(kFamily) + "until [ -e $D/go ]; do sleep 0.01; done; exit 5");
  ASSERT_TRUE(family_is_there());
  ASSERT_TRUE(write_file_atomic(folder_ / "go", ""));
  const ShimState state = ended_state();
  EXPECT_EQ(state.exit_code, 5);
  EXPECT_FALSE(state.stop_requested);
  EXPECT_TRUE(ours().empty());
  EXPECT_TRUE(nameless_is_gone());
}

TEST_F(ShimEnd, TakesAllDescendantsWhenTheEngineIsKilled) {
  start(std::string(kFamily) + "wait");
  ASSERT_TRUE(family_is_there());
  ASSERT_EQ(::kill(state_at(ShimPhase::running).engine_pid, SIGKILL), 0);
  EXPECT_EQ(ended_state().signal, SIGKILL);
  EXPECT_TRUE(ours().empty());
  EXPECT_TRUE(nameless_is_gone());
}

TEST_F(ShimEnd, TakesAnEngineThatForksWithoutEnd) {
  start("touch $D/up; while :; do setsid sleep 0.05 & done");
  ASSERT_TRUE(wait_for_file("up"));
  ASSERT_TRUE(request_kill(handle_));
  EXPECT_EQ(ended_state().signal, SIGKILL);
  EXPECT_TRUE(ours().empty());
}

TEST_F(ShimEnd, ByForceTakesTheEngineWithIt) {
  start("exec sleep 1000");
  const ShimState state = state_at(ShimPhase::running);
  const auto engine = Pidfd::open(ProcessIdentity{state.engine_pid, state.engine_start_time});
  ASSERT_TRUE(engine);
  ASSERT_TRUE(kill_shim(handle_));
  EXPECT_TRUE(engine->wait(kPatience));
  ASSERT_TRUE(wait_for_end(handle_, kPatience));
  EXPECT_EQ(read_shim_state(state_path())->state, ShimPhase::running);
  EXPECT_EQ(adopt(state).error().code, ErrorCode::not_found);
}

TEST_F(ShimEnd, ByForceLeavesDescendantsThatTheSweepTakes) {
  start(std::string(kFamily) + "wait");
  ASSERT_TRUE(family_is_there());
  ASSERT_TRUE(kill_shim(handle_));
  ASSERT_TRUE(wait_for_end(handle_, kPatience));
  EXPECT_FALSE(ours().empty());
  const SweepResult swept = sweep(tag_);
  EXPECT_GE(swept.killed.size(), 3U);
  EXPECT_TRUE(swept.left.empty());
  EXPECT_TRUE(ours().empty());
  ::kill(std::stoi(content("nameless")), SIGKILL);  // carries no tag any more
}

TEST_F(ShimEnd, ComesNotWithTheEndOfTheAgent) {
  // A child in the agent's place starts the shim and is killed.
  const pid_t agent = ::fork();
  ASSERT_GE(agent, 0);
  if (agent == 0) {
    const auto handle = start_shim(launch_of("exec sleep 1000"));
    const bool up = handle && wait_for_phase(state_path(), ShimPhase::running, kPatience);
    if (up) ::kill(::getpid(), SIGKILL);
    ::_exit(1);
  }
  int status = 0;
  ASSERT_EQ(::waitpid(agent, &status, 0), agent);
  ASSERT_TRUE(WIFSIGNALED(status));
  const ShimState state = state_at(ShimPhase::running);
  const auto adopted = adopt(state);
  ASSERT_TRUE(adopted) << adopted.error().to_string();
  EXPECT_TRUE(sweep(tag_).killed.empty());
  ASSERT_TRUE(request_stop(*adopted));
  EXPECT_TRUE(wait_for_end(*adopted, kPatience));
  EXPECT_EQ(state_at(ShimPhase::exited).signal, SIGTERM);
}

}  // namespace
}  // namespace berth::process
