#include "base/files.h"
#include "worker/devices/amd.h"
#include "worker/devices/apple.h"
#include "worker/devices/ascend.h"
#include "worker/devices/cambricon.h"
#include "worker/devices/hygon.h"
#include "worker/devices/iluvatar.h"
#include "worker/devices/intel.h"
#include "worker/devices/moore_threads.h"
#include "worker/devices/tool.h"

#include <algorithm>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::worker::devices {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

std::string recorded(const std::string& name) {
  const auto text =
      read_file(std::string(BERTH_SOURCE_DIR) + "/src/worker/devices/testdata/" + name);
  EXPECT_TRUE(text) << name;
  return text.value_or("");
}

Sample parsed(ParseTool parse, const std::string& name) {
  auto sample = parse(recorded(name));
  EXPECT_TRUE(sample) << name << ": " << sample.error().to_string();
  return sample.value_or(Sample{});
}

TEST(RocmSmi, TellsOfCards) {
  const auto sample = parsed(parse_rocm_smi, "amd/rocm-smi.json");
  ASSERT_EQ(sample.devices.size(), 1U);
  const auto& device = sample.devices[0];
  EXPECT_EQ(device.id, "rocm:0");
  EXPECT_EQ(device.name, "Radeon RX 7900 XT");
  EXPECT_EQ(device.memory, 21458059264_B);
  EXPECT_EQ(device.used, 27856896_B);
  EXPECT_TRUE(device.measured);
  EXPECT_EQ(device.capability, "gfx1100");
  EXPECT_EQ(device.utilisation, 0U);
  EXPECT_THAT(sample.warnings, IsEmpty());
}

TEST(RocmSmi, ReadsTheNamesOfLaterVersions) {
  const auto sample = parsed(parse_rocm_smi, "amd/rocm-smi-780m.json");
  ASSERT_EQ(sample.devices.size(), 1U);
  EXPECT_EQ(sample.devices[0].name, "Phoenix3");
  EXPECT_EQ(sample.devices[0].address, "0000:c4:00.0");
  EXPECT_EQ(sample.devices[0].temperature, 31);
  EXPECT_EQ(sample.devices[0].power, 7.222);
  EXPECT_FALSE(sample.devices[0].measured) << "without its memory nothing is placed on it";
}

TEST(HySmi, ReadsWhatLacksCommas) {
  const auto sample = parsed(parse_hy_smi, "hygon/hy-smi.json");
  ASSERT_EQ(sample.devices.size(), 2U);
  EXPECT_EQ(sample.devices[0].id, "dtk:0");
  EXPECT_EQ(sample.devices[0].memory, 65520_MiB);
  EXPECT_EQ(sample.devices[0].used, 64169_MiB);
  EXPECT_EQ(sample.devices[0].power, 91.0);
  EXPECT_EQ(sample.devices[1].temperature, 52);
  EXPECT_THAT(sample.warnings, IsEmpty());
}

TEST(NpuSmi, TellsOfCardsWithHbm) {
  const auto sample = parsed(parse_npu_smi, "ascend/npu-smi-910b.txt");
  ASSERT_EQ(sample.devices.size(), 2U);
  EXPECT_EQ(sample.devices[1].id, "cann:1");
  EXPECT_EQ(sample.devices[1].name, "910B4-1");
  EXPECT_EQ(sample.devices[1].memory, 65536_MiB);
  EXPECT_EQ(sample.devices[1].used, 3197_MiB);
  EXPECT_EQ(sample.devices[1].temperature, 32);
  EXPECT_EQ(sample.devices[1].power, 88.1);
  EXPECT_THAT(sample.warnings, IsEmpty());
}

TEST(NpuSmi, NumbersTheChipsOfACardAsCannDoesAndKnowsProcesses) {
  const auto sample = parsed(parse_npu_smi, "ascend/npu-smi-910c.txt");
  ASSERT_EQ(sample.devices.size(), 3U);
  EXPECT_EQ(sample.devices[1].id, "cann:1");
  EXPECT_FALSE(sample.devices[1].power) << "only a card's first chip tells it";
  EXPECT_EQ(sample.devices[2].id, "cann:15");
  EXPECT_EQ(sample.devices[2].address, "0000:83:00.0");
  EXPECT_EQ(sample.devices[2].used, 31877_MiB);
  ASSERT_EQ(sample.processes.size(), 1U);
  EXPECT_EQ(sample.processes[0].pid, 632268);
  EXPECT_EQ(sample.processes[0].device, "cann:0");
  EXPECT_EQ(sample.processes[0].memory, 197_MiB);
}

TEST(NpuSmi, TellsOfCardsWithoutHbm) {
  const auto sample = parsed(parse_npu_smi, "ascend/npu-smi-310p.txt");
  ASSERT_EQ(sample.devices.size(), 2U);
  EXPECT_EQ(sample.devices[0].memory, 44216_MiB);
  EXPECT_EQ(sample.devices[1].used, 1516_MiB);
}

TEST(HccnTool, TellsADevicesOwnAddress) {
  EXPECT_EQ(parse_hccn_address(recorded("ascend/hccn_tool-ip.txt")), "10.0.0.11");
  EXPECT_EQ(parse_hccn_address("hccn_tool is busy\n"), "");
  EXPECT_EQ(parse_hccn_address("ipaddr:$(reboot)\n"), "");
}

TEST(Ixsmi, TellsOfDevices) {
  const auto sample = parsed(parse_ixsmi, "iluvatar/ixsmi.txt");
  ASSERT_EQ(sample.devices.size(), 2U);
  EXPECT_EQ(sample.devices[0].id, "corex:0");
  EXPECT_EQ(sample.devices[0].name, "Iluvatar BI-V150");
  EXPECT_EQ(sample.devices[0].memory, 32768_MiB);
  EXPECT_FALSE(sample.devices[0].power);
  EXPECT_EQ(sample.devices[1].used, 64_MiB);
  EXPECT_EQ(sample.devices[1].power, 104.0);
  EXPECT_EQ(sample.devices[1].temperature, 39);
  EXPECT_EQ(sample.devices[1].driver, "4.3.8");
}

TEST(Cnmon, TellsOfCards) {
  const auto sample = parsed(parse_cnmon, "cambricon/cnmon.txt");
  ASSERT_EQ(sample.devices.size(), 2U);
  EXPECT_EQ(sample.devices[1].id, "mlu:1");
  EXPECT_EQ(sample.devices[1].name, "Cambricon MLU370-X8");
  EXPECT_EQ(sample.devices[1].address, "0000:3d:00.0");
  EXPECT_EQ(sample.devices[1].memory, 23374_MiB);
  EXPECT_EQ(sample.devices[1].used, 0_B);
  EXPECT_EQ(sample.devices[1].power, 106.0);
  EXPECT_EQ(sample.devices[1].driver, "5.10.13");
}

TEST(MthreadsGmi, TellsOfDevicesOfSeveralVersions) {
  const auto sample = parsed(parse_mthreads_gmi, "moore_threads/mthreads-gmi.txt");
  ASSERT_EQ(sample.devices.size(), 2U);
  EXPECT_EQ(sample.devices[0].id, "musa:0");
  EXPECT_EQ(sample.devices[0].name, "MTT S5000");
  EXPECT_EQ(sample.devices[0].used, 66641_MiB);
  EXPECT_EQ(sample.devices[0].memory, 81920_MiB);
  EXPECT_EQ(sample.devices[1].temperature, 51);
  EXPECT_EQ(sample.devices[1].driver, "3.3.5-server");
  const auto older = parsed(parse_mthreads_gmi, "moore_threads/mthreads-gmi-s80.txt");
  ASSERT_EQ(older.devices.size(), 1U);
  EXPECT_EQ(older.devices[0].memory, 16384_MiB);
}

TEST(XpuSmi, TellsOfDevicesInJsonAndAsATable) {
  const auto sample = parsed(parse_xpu_smi, "intel/xpu-smi-discovery.json");
  ASSERT_EQ(sample.devices.size(), 1U);
  EXPECT_EQ(sample.devices[0].id, "sycl:0");
  EXPECT_EQ(sample.devices[0].memory, 25669140480_B);
  EXPECT_EQ(sample.devices[0].used, 221536256_B);
  EXPECT_EQ(sample.devices[0].address, "0000:97:00.0");
  const auto table = parsed(parse_xpu_smi, "intel/xpu-smi-v2.txt");
  ASSERT_EQ(table.devices.size(), 1U);
  EXPECT_EQ(table.devices[0].name, "Intel(R) Arc(TM) A770");
  EXPECT_EQ(table.devices[0].memory, 16288_MiB);
  EXPECT_EQ(table.devices[0].used, 3642_MiB);
  EXPECT_EQ(table.devices[0].power, 45.0);
}

TEST(SystemProfiler, TellsOfGpusThatShareTheMemory) {
  const auto sample = parsed(parse_system_profiler, "apple/system_profiler.json");
  ASSERT_EQ(sample.devices.size(), 1U);
  EXPECT_EQ(sample.devices[0].id, "metal:0");
  EXPECT_EQ(sample.devices[0].name, "Apple M3 Pro");
  EXPECT_TRUE(sample.devices[0].unified);
  EXPECT_EQ(sample.devices[0].capability, "metal3");
  EXPECT_EQ(parsed(parse_system_profiler, "apple/system_profiler-m1.json").devices.size(), 1U);
}

struct Recording {
  const char* name;
  ParseTool parse;
};
constexpr Recording kRecordings[] = {
    {"amd/rocm-smi.json", parse_rocm_smi},
    {"amd/rocm-smi-780m.json", parse_rocm_smi},
    {"hygon/hy-smi.json", parse_hy_smi},
    {"ascend/npu-smi-910b.txt", parse_npu_smi},
    {"ascend/npu-smi-910c.txt", parse_npu_smi},
    {"ascend/npu-smi-310p.txt", parse_npu_smi},
    {"iluvatar/ixsmi.txt", parse_ixsmi},
    {"cambricon/cnmon.txt", parse_cnmon},
    {"moore_threads/mthreads-gmi.txt", parse_mthreads_gmi},
    {"moore_threads/mthreads-gmi-s80.txt", parse_mthreads_gmi},
    {"intel/xpu-smi-discovery.json", parse_xpu_smi},
    {"intel/xpu-smi-v2.txt", parse_xpu_smi},
    {"apple/system_profiler.json", parse_system_profiler},
};

// Wherever the text is cut, a device has the figures of the whole text or is not there.
TEST(Tools, AreNotBelievedHalfAWord) {
  for (const auto& [name, parse] : kRecordings) {
    const auto text = recorded(name);
    const auto whole = parse(text);
    ASSERT_TRUE(whole) << name;
    for (std::size_t cut = 0; cut < text.size(); ++cut) {
      const auto part = parse(std::string_view(text).substr(0, cut));
      if (!part) continue;
      for (const auto& device : part->devices) {
        const auto same = std::ranges::find(whole->devices, device.id, &model::Device::id);
        ASSERT_NE(same, whole->devices.end()) << name << " cut at " << cut;
        EXPECT_EQ(to_text(to_json(device)), to_text(to_json(*same))) << name << " cut at " << cut;
      }
    }
  }
}

constexpr Recording kGarbled[] = {
    {"amd/rocm-smi-garbled.json", parse_rocm_smi},
    {"hygon/hy-smi-garbled.json", parse_hy_smi},
    {"ascend/npu-smi-910b-garbled.txt", parse_npu_smi},
    {"iluvatar/ixsmi-garbled.txt", parse_ixsmi},
    {"cambricon/cnmon-garbled.txt", parse_cnmon},
    {"moore_threads/mthreads-gmi-garbled.txt", parse_mthreads_gmi},
    {"intel/xpu-smi-discovery-garbled.json", parse_xpu_smi},
};

TEST(Tools, ThatLieCostAWarningAndTheFigure) {
  for (const auto& [name, parse] : kGarbled) {
    const auto sample = parsed(parse, name);
    ASSERT_FALSE(sample.devices.empty()) << name;
    EXPECT_FALSE(sample.devices[0].measured) << name;
    EXPECT_NE(sample.devices[0].memory, 0_B) << name;
    EXPECT_FALSE(sample.devices[0].temperature) << name;
    EXPECT_THAT(sample.warnings, Not(IsEmpty())) << name;
    for (std::size_t i = 1; i < sample.devices.size(); ++i) {
      EXPECT_TRUE(sample.devices[i].measured) << name << ": the others are believed";
    }
  }
}

TEST(Tools, ThatSayNothingOfUseFail) {
  for (const auto& [name, parse] : kRecordings) {
    for (const std::string_view text : {"", "\n", "Segmentation fault\n", "{}", "{\"card0\": 7}"}) {
      const auto sample = parse(text);
      ASSERT_FALSE(sample) << name << ": " << text;
      EXPECT_EQ(sample.error().code, ErrorCode::corrupt);
    }
  }
  EXPECT_FALSE(parse_system_profiler(recorded("apple/system_profiler-garbled.json")));
}

TEST(RunTool, FailsWhereTheToolIsMissingFailsOrTalksTooMuch) {
  EXPECT_EQ(run_tool({"berth-no-such-smi"}).error().code, ErrorCode::not_found);
  const auto failed = run_tool({"sh", "-c", "echo no driver >&2; exit 3"});
  ASSERT_FALSE(failed);
  EXPECT_THAT(failed.error().to_string(), HasSubstr("exit code 3: no driver"));
  const auto endless = run_tool({"sh", "-c", "head -c 2000000 /dev/zero"});
  ASSERT_FALSE(endless);
  EXPECT_EQ(endless.error().code, ErrorCode::corrupt);
  EXPECT_EQ(run_tool({"sh", "-c", "echo fine"}).value_or(""), "fine\n");
}

}  // namespace
}  // namespace berth::worker::devices
