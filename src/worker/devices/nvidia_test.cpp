#include "worker/devices/nvidia.h"

#include "base/ids.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::worker::devices {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// What the library says is in a file; see tests/fakes/nvml.
class Nvml : public testing::Test {
 protected:
  Nvml()
      : file_((std::filesystem::temp_directory_path() / ("berth-nvml-" + random_id())).string()) {
    ::setenv("FAKE_NVML_FILE", file_.c_str(), 1);
  }
  ~Nvml() override { std::filesystem::remove(file_); }

  void say(const std::string& text) { std::ofstream(file_) << text; }
  Result<Sample> look() { return nvidia_->look(); }
  Sample sample() {
    auto found = look();
    EXPECT_TRUE(found) << found.error().to_string();
    return found.value_or(Sample{});
  }

  const std::string file_;
  const std::unique_ptr<Vendor> nvidia_ = make_nvidia(BERTH_FAKE_NVML);
};

constexpr auto kH100 = R"(driver 550.54.15
cuda 12040
gpu GPU-1111 NVIDIA H100 80GB HBM3
memory 85520809984 1073741824
pci 00000000:1B:00.0
utilisation 17
temperature 41
power 69500
capability 9 0
process 4242 536870912
process 4243 unknown
)";

TEST_F(Nvml, TellsAllOfADevice) {
  say(kH100);
  const auto found = sample();
  ASSERT_EQ(found.devices.size(), 1U);
  const auto& device = found.devices.front();
  EXPECT_EQ(device.id, "cuda:0");
  EXPECT_EQ(device.kind, model::DeviceKind::cuda);
  EXPECT_EQ(device.name, "NVIDIA H100 80GB HBM3");
  EXPECT_EQ(device.uuid, "GPU-1111");
  EXPECT_EQ(device.address, "0000:1b:00.0");
  EXPECT_EQ(device.memory, 85520809984_B);
  EXPECT_EQ(device.used, 1_GiB);
  EXPECT_TRUE(device.measured);
  EXPECT_EQ(device.driver, "550.54.15");
  EXPECT_EQ(device.runtime, "12.4");
  EXPECT_EQ(device.capability, "9.0");
  EXPECT_EQ(device.utilisation, 17U);
  EXPECT_EQ(device.temperature, 41);
  EXPECT_EQ(device.power, 69.5);
  ASSERT_EQ(found.processes.size(), 1U) << "what a process uses may be unknown";
  EXPECT_EQ(found.processes.front().pid, 4242);
  EXPECT_EQ(found.processes.front().device, "cuda:0");
  EXPECT_EQ(found.processes.front().memory, 512_MiB);
  EXPECT_THAT(found.warnings, IsEmpty());
}

TEST_F(Nvml, FindsTheInstancesOfADeviceThatIsCut) {
  say(R"(gpu GPU-1 NVIDIA H100
memory 85520809984 0
mig MIG-a NVIDIA H100 MIG 1g.10gb
memory 10468982784 38797312
process 7 1048576
mig MIG-b NVIDIA H100 MIG 2g.20gb
memory 20937965568 0
gpu GPU-2 NVIDIA H100
memory 85520809984 0
)");
  const auto found = sample();
  ASSERT_EQ(found.devices.size(), 3U);
  EXPECT_EQ(found.devices[0].id, "cuda:0.0");
  EXPECT_EQ(found.devices[0].uuid, "MIG-a");
  EXPECT_EQ(found.devices[0].part_of, "cuda:0");
  EXPECT_EQ(found.devices[0].memory, 10468982784_B);
  EXPECT_EQ(found.devices[1].id, "cuda:0.1");
  EXPECT_EQ(found.devices[2].id, "cuda:1");
  EXPECT_EQ(found.devices[2].part_of, "");
  ASSERT_EQ(found.processes.size(), 1U);
  EXPECT_EQ(found.processes.front().device, "cuda:0.0");
}

TEST_F(Nvml, RefusesFiguresThatCanNotBe) {
  say(R"(gpu GPU-1 Liar
memory 1000000 2000000
temperature 9000
utilisation 300
power 99000000
)");
  const auto found = sample();
  ASSERT_EQ(found.devices.size(), 1U);
  EXPECT_EQ(found.devices[0].memory, 1000000_B);
  EXPECT_FALSE(found.devices[0].measured);
  EXPECT_FALSE(found.devices[0].temperature);
  EXPECT_FALSE(found.devices[0].utilisation);
  EXPECT_FALSE(found.devices[0].power);
  EXPECT_THAT(found.warnings,
              ElementsAre(HasSubstr("2000000 bytes used"), HasSubstr("utilisation of 300"),
                          HasSubstr("temperature of 9000"), HasSubstr("power of 99000")));
}

TEST_F(Nvml, KnowsADeviceWithoutMemoryOfItsOwn) {
  say("gpu GPU-1 NVIDIA GB10\n");
  const auto found = sample();
  ASSERT_EQ(found.devices.size(), 1U);
  EXPECT_TRUE(found.devices[0].unified);
  EXPECT_THAT(found.warnings, IsEmpty());
}

TEST_F(Nvml, KeepsTheOthersWhereOneDeviceIsLost) {
  say(R"(gpu GPU-1 Lost
fail nvmlDeviceGetHandleByIndex_v2 15
gpu GPU-2 Half
memory 1000 0
fail nvmlDeviceGetMemoryInfo 15
gpu GPU-3 Good
memory 1000 10
)");
  const auto found = sample();
  ASSERT_EQ(found.devices.size(), 2U);
  EXPECT_FALSE(found.devices[0].measured);
  EXPECT_EQ(found.devices[1].id, "cuda:2");
  EXPECT_TRUE(found.devices[1].measured);
  EXPECT_THAT(found.warnings, ElementsAre(HasSubstr("GPU is lost"), HasSubstr("GPU is lost")));
}

TEST_F(Nvml, FailsWithoutADriverAndComesBackWithIt) {
  say("fail nvmlInit_v2 9\n");
  const auto failed = look();
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().to_string(), HasSubstr("Driver Not Loaded"));
  say(kH100);
  EXPECT_EQ(sample().devices.size(), 1U);
}

TEST(Nvidia, IsNotThereWithoutItsLibrary) {
  const auto missing = make_nvidia("libberth-no-such-thing.so.1")->look();
  ASSERT_FALSE(missing);
  EXPECT_EQ(missing.error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace berth::worker::devices
