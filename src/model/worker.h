// Worker and Device: the machines of a cluster and what they have.
#pragma once

#include "base/describe.h"
#include "model/engine_pack.h"

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace berth::model {

// By what an engine is built for: dtk is Hygon's, corex Iluvatar's, mlu Cambricon's. rpc is a part
// of the machine's memory and its CPU in the place of a GPU, as its worker's settings have it.
enum class DeviceKind { cpu, cuda, rocm, vulkan, metal, cann, musa, sycl, dtk, corex, mlu, rpc };
BOOST_DESCRIBE_ENUM(DeviceKind, cpu, cuda, rocm, vulkan, metal, cann, musa, sycl, dtk, corex, mlu,
                    rpc)

// A GPU or NPU, or the CPU of a worker with its memory. What its vendor's tool does not tell, or
// tells wrongly, is empty.
struct Device {
  std::string id;  // "cpu", "cuda:0"; "cuda:0.1", a MIG instance of cuda:0
  DeviceKind kind = DeviceKind::cpu;
  std::string name;  // "NVIDIA H100 80GB HBM3"
  std::uint32_t index = 0;
  Bytes memory;          // in all
  Bytes used;            // by anyone, when last looked at
  Bytes reserved;        // kept free for the system
  bool unified = false;  // shares the CPU's memory
  bool measured = true;  // `used` is known; where it is not, nothing new is placed here
  std::string uuid;      // by which an engine can be told to use it, such as "GPU-…" or "MIG-…"
  std::string address;   // on the PCI bus, "0000:1b:00.0"
  std::string part_of;   // the id of the GPU that it is a MIG instance of
  std::string network_address;               // of an NPU's own network port
  std::string driver;                        // "550.54.15"
  std::string runtime;                       // the newest that the driver supports: of CUDA, "12.4"
  std::string capability;                    // what it can compute: of CUDA, "9.0"
  std::optional<std::uint32_t> utilisation;  // per cent
  std::optional<std::int32_t> temperature;   // degrees Celsius
  std::optional<double> power;               // watts
};
BOOST_DESCRIBE_STRUCT(Device, (),
                      (id, kind, name, index, memory, used, reserved, unified, measured, uuid,
                       address, part_of, network_address, driver, runtime, capability, utilisation,
                       temperature, power))

struct SystemFacts {
  std::string os;    // "linux"
  std::string arch;  // "amd64", "arm64"
  std::string distribution;
  std::string kernel;
  std::string hostname;
  std::string cpu;
  std::uint32_t cores = 0;    // physical
  std::uint32_t threads = 0;  // that this process may use
  Bytes memory;
};
BOOST_DESCRIBE_STRUCT(SystemFacts, (),
                      (os, arch, distribution, kernel, hostname, cpu, cores, threads, memory))

enum class WorkerState {
  ready,
  not_ready,  // has just joined, or has not been heard since the server started
  suspected,  // silent: gets no new requests
  lost,       // silent for so long that its instances are placed elsewhere
};
BOOST_DESCRIBE_ENUM(WorkerState, ready, not_ready, suspected, lost)

// Whether instances may be placed on a worker: an operator's wish, which the server keeps.
enum class Scheduling {
  open,
  cordoned,  // nothing new
  draining,  // nothing new, and what is there moves away
  drained,   // nothing is there any more
};
BOOST_DESCRIBE_ENUM(Scheduling, open, cordoned, draining, drained)

// A document of kind "worker". Heartbeats and utilisation are not in it.
struct Worker {
  std::string name;
  WorkerState state = WorkerState::not_ready;
  std::string reason;  // why it is not ready
  Scheduling scheduling = Scheduling::open;
  std::string version;  // of Berth
  bool local = false;   // on the server's own machine
  std::string address;  // host:port of its proxy, the way to its engines and to itself
  SystemFacts system;
  std::map<std::string, std::string> labels;
  std::vector<Device> devices;
  std::vector<PackStatus> packs;
  std::vector<std::string> warnings;  // such as a GPU that no pack can use, with the remedy
  std::string joined_at;
};
BOOST_DESCRIBE_STRUCT(Worker, (),
                      (name, state, reason, scheduling, version, local, address, system, labels,
                       devices, packs, warnings, joined_at))
}  // namespace berth::model
