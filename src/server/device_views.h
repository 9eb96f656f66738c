// Devices as the management API shows them: what is claimed of each, used by others, and free.
#pragma once

#include "base/json.h"
#include "base/schema.h"
#include "model/instance.h"
#include "model/worker.h"
#include "server/worker_registry.h"

#include <string>
#include <vector>

namespace berth::server {

// What one instance has of a device.
struct ClaimOnDevice {
  std::string instance;
  std::string model;
  Bytes claim;
  Bytes used;  // by its processes now, as far as it is known
};
BOOST_DESCRIBE_STRUCT(ClaimOnDevice, (), (instance, model, claim, used))

// What placement makes of a device.
struct DeviceFigures {
  std::string worker;
  Bytes claimed;  // by our instances, whether they use it yet or not
  Bytes others;   // used by processes that are not ours
  Bytes free;     // what a new claim may take
  std::vector<ClaimOnDevice> claims;
};
BOOST_DESCRIBE_STRUCT(DeviceFigures, (), (worker, claimed, others, free, claims))

struct DeviceStatus {
  model::Device device;
  DeviceFigures figures;
};

// Of every worker's devices, in their order, with the memory free as placement counts it.
std::vector<DeviceStatus> device_statuses(const std::vector<model::Worker>& workers,
                                          const std::vector<model::Instance>& instances,
                                          const WorkerRegistry& registry);

// The device with its figures in front.
json::object device_view(const DeviceStatus& status);
json::object device_view_schema(Schemas& schemas);

}  // namespace berth::server
