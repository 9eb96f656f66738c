#include "worker/devices/rpc_devices.h"

#include <utility>

namespace berth::worker::devices {
namespace {

class RpcDevices final : public Vendor {
 public:
  explicit RpcDevices(const std::vector<Bytes>& memories) {
    for (const auto memory : memories) {
      const auto index = static_cast<std::uint32_t>(sample_.devices.size());
      model::Device device;
      device.id = fmt::format("rpc:{}", index);
      device.kind = kind();
      device.name = "main memory in the place of a GPU";
      device.index = index;
      device.memory = memory;
      device.unified = true;
      sample_.devices.push_back(std::move(device));
    }
  }

  [[nodiscard]] std::string_view name() const override { return "settings"; }
  [[nodiscard]] model::DeviceKind kind() const override { return model::DeviceKind::rpc; }
  Result<Sample> look() override { return sample_; }

 private:
  Sample sample_;
};

}  // namespace

std::unique_ptr<Vendor> make_rpc_devices(const std::vector<Bytes>& memories) {
  return std::make_unique<RpcDevices>(memories);
}

}  // namespace berth::worker::devices
