#include "worker/system_facts.h"

#include "base/ids.h"

#include <filesystem>
#include <fstream>

#include <gtest/gtest.h>

namespace berth::worker {
namespace {

// A made-up /sys/bus/pci/devices.
class PciFolder : public testing::Test {
 protected:
  PciFolder() : folder_(std::filesystem::temp_directory_path() / ("berth-pci-" + random_id())) {
    std::filesystem::create_directories(folder_);
  }
  ~PciFolder() override { std::filesystem::remove_all(folder_); }

  void add(const std::string& address, const std::string& pci_class, const std::string& vendor) {
    std::filesystem::create_directories(folder_ / address);
    std::ofstream(folder_ / address / "class") << pci_class << "\n";
    std::ofstream(folder_ / address / "vendor") << vendor << "\n";
  }

  std::filesystem::path folder_;
};

TEST_F(PciFolder, GpusAreKnownByClassAndVendor) {
  add("0000:02:00.0", "0x030200", "0x10de");  // a 3D controller of NVIDIA
  add("0000:01:00.0", "0x030000", "0x1002");  // a VGA controller of AMD
  add("0000:00:1f.0", "0x060100", "0x10de");  // a bridge
  add("0000:03:00.0", "0x030000", "0x1234");  // an emulated display
  const auto gpus = detect_gpus(folder_.string());
  ASSERT_EQ(gpus.size(), 2U);
  EXPECT_EQ(gpus[0].kind, model::DeviceKind::rocm);
  EXPECT_EQ(gpus[1].kind, model::DeviceKind::cuda);
  const auto devices = to_devices(gpus);
  ASSERT_EQ(devices.size(), 2U);
  EXPECT_EQ(devices[0].id, "rocm:0");
  EXPECT_EQ(devices[1].id, "cuda:0");
  EXPECT_EQ(devices[1].memory, 0_B) << "nothing may be placed on what is not measured";
}

TEST(GpuWarnings, OneForEachKindThatNoPackCanUse) {
  const std::vector<DetectedGpu> gpus = {
      {.kind = model::DeviceKind::cuda, .vendor = "NVIDIA", .address = "a"},
      {.kind = model::DeviceKind::cuda, .vendor = "NVIDIA", .address = "b"}};
  model::PackStatus pack{.pack = {.name = "p", .runtimes = {"cpu"}}};
  EXPECT_EQ(gpu_warnings(gpus, {pack}).size(), 1U);
  pack.pack.runtimes.emplace_back("cuda");
  EXPECT_TRUE(gpu_warnings(gpus, {pack}).empty());
  EXPECT_TRUE(gpu_warnings({}, {}).empty());
}

TEST(SystemFacts, TellThisMachine) {
  const auto facts = read_system_facts();
  EXPECT_EQ(facts.os, "linux");
  EXPECT_FALSE(facts.arch.empty());
  EXPECT_GT(facts.threads, 0U);
  EXPECT_GT(facts.memory, 100_MiB);
  const auto cpu = read_cpu_device(facts);
  EXPECT_EQ(cpu.id, "cpu");
  EXPECT_LE(cpu.used, cpu.memory);
}

}  // namespace
}  // namespace berth::worker
