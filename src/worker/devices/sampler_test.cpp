#include "worker/devices/sampler.h"

#include "worker/devices/device_watch.h"

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::worker::devices {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

using Look = std::function<Result<Sample>()>;

class Scripted : public Vendor {
 public:
  explicit Scripted(Look look) : look_(std::move(look)) {}
  [[nodiscard]] std::string_view name() const override { return "Scripted"; }
  [[nodiscard]] model::DeviceKind kind() const override { return model::DeviceKind::cuda; }
  Result<Sample> look() override { return look_(); }

 private:
  Look look_;
};

std::vector<std::unique_ptr<Vendor>> vendors(Look look) {
  std::vector<std::unique_ptr<Vendor>> all;
  all.push_back(std::make_unique<Scripted>(std::move(look)));
  return all;
}

Sample one_device() {
  Sample sample;
  sample.devices.push_back({.id = "cuda:0",
                            .kind = model::DeviceKind::cuda,
                            .memory = 80_GiB,
                            .used = 3_GiB,
                            .temperature = 40});
  sample.processes.push_back({.pid = 7, .device = "cuda:0", .memory = 2_GiB});
  return sample;
}

constexpr std::chrono::seconds kLong{20};
constexpr SamplerOptions kQuick{.every = std::chrono::milliseconds(1),
                                .patience = std::chrono::milliseconds(1),
                                .end = std::chrono::milliseconds(1)};

template <class Condition>
bool eventually(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + kLong;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::yield();
  }
  return true;
}

TEST(Sampler, KeepsWhatWasSaidLast) {
  const Sampler sampler(vendors([] { return one_device(); }), {.every = std::chrono::hours(1)});
  sampler.wait_for_first(kLong);
  const auto now = sampler.latest();
  ASSERT_EQ(now.sample.devices.size(), 1U);
  EXPECT_EQ(now.sample.devices[0].used, 3_GiB);
  EXPECT_TRUE(now.sample.devices[0].measured);
  EXPECT_THAT(now.sample.warnings, IsEmpty());
}

TEST(Sampler, LooksAgainAtOnceWhenAsked) {
  Sampler sampler(vendors([] { return one_device(); }), {.every = std::chrono::hours(1)});
  sampler.wait_for_first(kLong);
  const auto asked = std::chrono::steady_clock::now();
  EXPECT_LT(sampler.latest().began, asked);
  sampler.look_soon();
  EXPECT_TRUE(eventually([&] { return sampler.latest().began >= asked; }));
}

TEST(Sampler, NeverLooksTwiceAtATime) {
  std::atomic<int> inside = 0;
  std::atomic<int> most = 0;
  std::atomic<int> looks = 0;
  {
    const Sampler sampler(vendors([&]() -> Result<Sample> {
                            most = std::max(most.load(), ++inside);
                            std::this_thread::yield();
                            --inside;
                            ++looks;
                            return one_device();
                          }),
                          {.every = Duration(0), .end = kLong});
    EXPECT_TRUE(eventually([&] { return looks > 50; }));
    static_cast<void>(sampler.latest());
  }
  EXPECT_EQ(most, 1);
}

TEST(Sampler, KeepsDevicesWithoutFiguresWhereALookFails) {
  std::atomic<bool> fails = false;
  const Sampler sampler(vendors([&]() -> Result<Sample> {
                          if (fails) return fail(ErrorCode::corrupt, "garbled");
                          return one_device();
                        }),
                        {.every = std::chrono::milliseconds(1), .end = kLong});
  sampler.wait_for_first(kLong);
  fails = true;
  ASSERT_TRUE(eventually([&] { return !sampler.latest().sample.devices.at(0).measured; }));
  const auto now = sampler.latest().sample;
  EXPECT_EQ(now.devices[0].memory, 80_GiB);
  EXPECT_FALSE(now.devices[0].temperature);
  EXPECT_THAT(now.processes, IsEmpty());
  EXPECT_THAT(now.warnings, ElementsAre(HasSubstr("garbled")));
}

TEST(Sampler, SaysThatALookHangsAndEndsWithoutIt) {
  const auto release = std::make_shared<std::promise<void>>();
  const auto released = std::make_shared<std::shared_future<void>>(release->get_future());
  const auto looks = std::make_shared<std::atomic<int>>(0);
  {
    const Sampler sampler(vendors([released, looks]() -> Result<Sample> {
                            if (++*looks > 1) released->wait();
                            return one_device();
                          }),
                          kQuick);
    ASSERT_TRUE(
        eventually([&] { return *looks == 2 && !sampler.latest().sample.warnings.empty(); }));
    const auto now = sampler.latest().sample;
    EXPECT_THAT(now.warnings, ElementsAre(HasSubstr("hangs")));
    ASSERT_EQ(now.devices.size(), 1U);
    EXPECT_FALSE(now.devices[0].measured);
    EXPECT_EQ(*looks, 2) << "no second look beside one that hangs";
  }  // the thread still hangs
  release->set_value();
}

TEST(Sampler, TellsOfAMissingToolApart) {
  const Sampler sampler(
      vendors([]() -> Result<Sample> { return fail(ErrorCode::not_found, "no such tool"); }),
      {.every = std::chrono::hours(1)});
  sampler.wait_for_first(kLong);
  const auto now = sampler.latest();
  EXPECT_THAT(now.sample.warnings, IsEmpty());
  ASSERT_TRUE(now.missing.contains(model::DeviceKind::cuda));
  EXPECT_THAT(now.missing.at(model::DeviceKind::cuda), HasSubstr("no such tool"));
}

TEST(ReportedDevices, TakeThePlaceOfWhatThePciBusTells) {
  const model::Device cpu{.id = "cpu", .memory = 64_GiB, .used = 10_GiB};
  const std::vector<DetectedGpu> gpus = {{.kind = model::DeviceKind::cuda, .vendor = "NVIDIA"},
                                         {.kind = model::DeviceKind::rocm, .vendor = "AMD"}};
  const auto all = reported_devices(cpu, gpus, one_device());
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[1].id, "cuda:0");
  EXPECT_EQ(all[1].memory, 80_GiB);
  EXPECT_EQ(all[1].reserved, 256_MiB);
  EXPECT_EQ(all[2].id, "rocm:0");
  EXPECT_FALSE(all[2].measured);
}

TEST(ReportedDevices, HaveTheCpusMemoryWhereTheyShareIt) {
  const model::Device cpu{.id = "cpu", .memory = 64_GiB, .used = 10_GiB, .reserved = 1_GiB};
  Sample sample;
  sample.devices.push_back(
      {.id = "cuda:0", .kind = model::DeviceKind::cuda, .unified = true, .measured = false});
  const auto all = reported_devices(cpu, {}, sample);
  ASSERT_EQ(all.size(), 2U);
  EXPECT_EQ(all[1].memory, 64_GiB);
  EXPECT_EQ(all[1].used, 10_GiB);
  EXPECT_TRUE(all[1].measured);
}

TEST(DeviceUse, IsThatOfTheEnginesOwnProcesses) {
  auto sample = one_device();
  sample.processes.push_back({.pid = 8, .device = "cuda:0", .memory = 1_GiB});
  sample.processes.push_back({.pid = 9, .device = "cuda:0", .memory = 5_GiB});
  EXPECT_EQ(device_use({7, 8}, sample), (std::map<std::string, Bytes>{{"cuda:0", 3_GiB}}));
  EXPECT_TRUE(device_use({1}, sample).empty());
}

TEST(DeviceWatch, WarnsOfAMissingToolOnlyWhereTheMachineHasTheDevices) {
  const auto missing = []() -> Result<Sample> {
    return fail(ErrorCode::not_found, "no such tool");
  };
  const DetectedGpu gpu{.kind = model::DeviceKind::cuda, .vendor = "NVIDIA"};
  const DeviceWatch with({}, {gpu}, vendors(missing));
  EXPECT_THAT(with.warnings({}), testing::Contains(HasSubstr("no such tool")));
  const DeviceWatch without({}, {}, vendors(missing));
  EXPECT_THAT(without.warnings({}), IsEmpty());
}

}  // namespace
}  // namespace berth::worker::devices
