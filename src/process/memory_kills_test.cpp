#include "process/memory_kills.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

namespace berth::process {
namespace {

class MemoryKills : public ::testing::Test {
 protected:
  MemoryKills() {
    std::string pattern = (std::filesystem::temp_directory_path() / "berth-kills-XXXXXX").string();
    folder_ = ::mkdtemp(pattern.data());
  }
  ~MemoryKills() override { std::filesystem::remove_all(folder_); }

  [[nodiscard]] std::optional<std::uint64_t> in(const std::string& text) const {
    const auto file = folder_ / "vmstat";
    std::ofstream(file) << text;
    return memory_kills(file.c_str());
  }

  std::filesystem::path folder_;
};

TEST_F(MemoryKills, AreWhatTheKernelCounts) {
  EXPECT_EQ(in("pgfault 7\noom_kill 3\nnuma_hit 1\n"), 3U);
  EXPECT_EQ(in("oom_kill 18446744073709551615"), 18446744073709551615U);
}

TEST_F(MemoryKills, AreNotGuessed) {
  EXPECT_EQ(in("pgfault 7\nmy_oom_kill 3\n"), std::nullopt);
  EXPECT_EQ(in("oom_kill many\n"), std::nullopt);
  EXPECT_EQ(in(""), std::nullopt);
  EXPECT_EQ(memory_kills((folder_ / "none").c_str()), std::nullopt);
}

}  // namespace
}  // namespace berth::process
