// What we use of NVIDIA's management library, libnvidia-ml.so.1, declared by hand: it comes with
// the driver, and a program must start without it. Source: NVML API Reference
// (docs.nvidia.com/deploy/nvml-api), whose versioned functions and structs stay as they are. The
// fake of our tests is built against this file too.
#pragma once

#include <cstdint>

namespace berth::worker::devices::nvml {

using Return = int;
inline constexpr Return kSuccess = 0;
inline constexpr Return kNotSupported = 3;
inline constexpr Return kNotFound = 6;
inline constexpr Return kInsufficientSize = 7;

struct DeviceOpaque;
using Device = DeviceOpaque*;

// nvmlMemory_t: bytes. `used` counts what the driver keeps for itself.
struct Memory {
  unsigned long long total;
  unsigned long long free;
  unsigned long long used;
};

// nvmlUtilization_t: per cent of time.
struct Utilization {
  unsigned int gpu;
  unsigned int memory;
};

// nvmlPciInfo_t, as nvmlDeviceGetPciInfo_v3 fills it.
struct PciInfo {
  char bus_id_legacy[16];
  unsigned int domain;
  unsigned int bus;
  unsigned int device;
  unsigned int pci_device_id;
  unsigned int pci_subsystem_id;
  char bus_id[32];
};

// nvmlProcessInfo_t of nvmlDeviceGetComputeRunningProcesses_v2 and _v3.
struct ProcessInfo {
  unsigned int pid;
  unsigned long long used_gpu_memory;  // all ones where it is not known
  unsigned int gpu_instance;
  unsigned int compute_instance;
};
inline constexpr unsigned long long kMemoryNotAvailable = ~0ULL;

inline constexpr unsigned int kTemperatureGpu = 0;  // NVML_TEMPERATURE_GPU
inline constexpr unsigned int kMigEnabled = 1;      // NVML_DEVICE_MIG_ENABLE
inline constexpr unsigned int kTextSize = 96;       // NVML_DEVICE_NAME_V2_BUFFER_SIZE, …UUID_V2…

static_assert(sizeof(Memory) == 24 && sizeof(PciInfo) == 68 && sizeof(ProcessInfo) == 24);

// Each function by the name that the library exports. X(required, our name, its name, parameters…)
#define BERTH_NVML_FUNCTIONS(X)                                                        \
  X(true, init, nvmlInit_v2, void)                                                     \
  X(true, shutdown, nvmlShutdown, void)                                                \
  X(true, count, nvmlDeviceGetCount_v2, unsigned int*)                                 \
  X(true, handle, nvmlDeviceGetHandleByIndex_v2, unsigned int, Device*)                \
  X(true, memory, nvmlDeviceGetMemoryInfo, Device, Memory*)                            \
  X(false, driver_version, nvmlSystemGetDriverVersion, char*, unsigned int)            \
  X(false, cuda_version, nvmlSystemGetCudaDriverVersion_v2, int*)                      \
  X(false, name, nvmlDeviceGetName, Device, char*, unsigned int)                       \
  X(false, uuid, nvmlDeviceGetUUID, Device, char*, unsigned int)                       \
  X(false, pci_info, nvmlDeviceGetPciInfo_v3, Device, PciInfo*)                        \
  X(false, utilization, nvmlDeviceGetUtilizationRates, Device, Utilization*)           \
  X(false, temperature, nvmlDeviceGetTemperature, Device, unsigned int, unsigned int*) \
  X(false, power, nvmlDeviceGetPowerUsage, Device, unsigned int*)                      \
  X(false, capability, nvmlDeviceGetCudaComputeCapability, Device, int*, int*)         \
  X(false, processes, nvmlDeviceGetComputeRunningProcesses_v3, Device, unsigned int*,  \
    ProcessInfo*)                                                                      \
  X(false, mig_mode, nvmlDeviceGetMigMode, Device, unsigned int*, unsigned int*)       \
  X(false, mig_count, nvmlDeviceGetMaxMigDeviceCount, Device, unsigned int*)           \
  X(false, mig_handle, nvmlDeviceGetMigDeviceHandleByIndex, Device, unsigned int, Device*)

// The functions of a library; those that an old driver lacks are null.
struct Functions {
#define BERTH_NVML_MEMBER(required, ours, theirs, ...) Return (*ours)(__VA_ARGS__) = nullptr;
  BERTH_NVML_FUNCTIONS(BERTH_NVML_MEMBER)
#undef BERTH_NVML_MEMBER
  const char* (*error_string)(Return) = nullptr;  // nvmlErrorString
};

}  // namespace berth::worker::devices::nvml
