// For tests: a folder, a cluster tag of its own, engines written as shell scripts, and the end of
// everything that carries the tag when the test is over.
#pragma once

#include "base/files.h"
#include "base/ids.h"
#include "process/process_table.h"
#include "process/shim.h"

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <string>
#include <thread>
#include <utility>

#include <gtest/gtest.h>

namespace berth::process {

inline constexpr Duration kPatience = std::chrono::seconds(20);  // far beyond what a test needs

// Looks until `condition` holds; false if it never does.
inline bool eventually(const std::function<bool()>& condition) {
  const SteadyTime deadline = std::chrono::steady_clock::now() + kPatience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() >= deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

class ShimFixture : public ::testing::Test {
 protected:
  ShimFixture() {
    std::string pattern =
        (std::filesystem::temp_directory_path() / "berth-process-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~ShimFixture() override {
    const SweepResult swept = sweep(tag_, [](const TaggedProcess&) { return false; }, kPatience);
    EXPECT_TRUE(swept.left.empty());
    if (handle_.identity.pid != 0) {
      EXPECT_TRUE(wait_for_end(handle_, kPatience));
    }
    std::filesystem::remove_all(folder_);
  }

  // An engine that is this shell script; it may use $D, the test's folder.
  [[nodiscard]] ShimLaunch launch_of(const std::string& script) const {
    ShimLaunch launch;
    launch.program = BERTH_SHIM_PROGRAM;
    launch.spec_path = folder_ / "spec";
    launch.spec = {.cluster = tag_,
                   .instance = "chat-0",
                   .generation = 7,
                   .attempt = 2,
                   .argv = {"/bin/sh", "-c", script},
                   .environment = {{"PATH", "/usr/bin:/bin"}, {"D", folder_.string()}},
                   .working_directory = folder_.string(),
                   .state_path = state_path().string(),
                   .log_path = (folder_ / "attempt-2.log").string(),
                   .stop_grace_milliseconds = 20'000};
    return launch;
  }

  void start(const ShimLaunch& launch) {
    auto handle = start_shim(launch);
    ASSERT_TRUE(handle) << handle.error().to_string();
    handle_ = *std::move(handle);
  }
  void start(const std::string& script) { start(launch_of(script)); }

  // The state once it is `phase` or later.
  ShimState state_at(ShimPhase phase) const {
    auto state = wait_for_phase(state_path(), phase, kPatience);
    EXPECT_TRUE(state) << state.error().to_string();
    return state.value_or(ShimState{});
  }
  // The last state, with the shim gone.
  ShimState ended_state() const {
    EXPECT_TRUE(wait_for_end(handle_, kPatience));
    return state_at(ShimPhase::exited);
  }

  [[nodiscard]] std::filesystem::path state_path() const { return folder_ / "state.json"; }
  [[nodiscard]] std::string content(const std::string& name) const {
    return read_file(folder_ / name).value_or("");
  }
  [[nodiscard]] bool wait_for_file(const std::string& name) const {
    return eventually([&] { return std::filesystem::exists(folder_ / name); });
  }
  [[nodiscard]] std::vector<TaggedProcess> ours() const { return list_tagged(tag_); }

  const std::string tag_ = "test-" + random_id(12);
  std::filesystem::path folder_;
  ShimHandle handle_;
};

}  // namespace berth::process
