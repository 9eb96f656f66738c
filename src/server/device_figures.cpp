#include "server/device_figures.h"

#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace berth::server {
namespace {

using Gauges = prometheus::Family<prometheus::Gauge>;

Gauges& gauges(prometheus::Registry& registry, const char* name, const char* help) {
  return prometheus::BuildGauge().Name(name).Help(help).Register(registry);
}

Bytes used_by_engines(const cluster::WorkerReport& report, const std::string& device) {
  Bytes sum;
  for (const auto& instance : report.instances) {
    const auto found = instance.device_memory.find(device);
    if (found != instance.device_memory.end()) sum += found->second;
  }
  return sum;
}

}  // namespace

std::string device_figures(const WorkerRegistry& workers) {
  prometheus::Registry now;
  auto& memory = gauges(now, "berth_device_memory_bytes", "Memory of a device");
  auto& used = gauges(now, "berth_device_memory_used_bytes", "Of it, what anyone uses");
  auto& engines = gauges(now, "berth_device_memory_engine_bytes", "Of it, what our engines use");
  auto& busy = gauges(now, "berth_device_utilisation_ratio", "How busy a device is, 0 to 1");
  auto& heat = gauges(now, "berth_device_temperature_celsius", "Temperature of a device");
  auto& power = gauges(now, "berth_device_power_watts", "Power that a device draws");
  for (const auto& [worker, report] : workers.reports()) {
    for (const auto& device : report.devices) {
      const prometheus::Labels labels{
          {"worker", worker}, {"device", device.id}, {"name", device.name}};
      if (device.memory.count != 0) {
        memory.Add(labels).Set(static_cast<double>(device.memory.count));
      }
      if (device.measured) {
        used.Add(labels).Set(static_cast<double>(device.used.count));
        engines.Add(labels).Set(static_cast<double>(used_by_engines(report, device.id).count));
      }
      if (device.utilisation) busy.Add(labels).Set(*device.utilisation / 100.0);
      if (device.temperature) heat.Add(labels).Set(*device.temperature);
      if (device.power) power.Add(labels).Set(*device.power);
    }
  }
  return prometheus::TextSerializer().Serialize(now.Collect());
}

}  // namespace berth::server
