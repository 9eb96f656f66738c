// A stand-in for NVIDIA's management library, loaded as the real one is. What it says is in the
// text file that FAKE_NVML_FILE names, read anew at each nvmlDeviceGetCount_v2:
//
//   driver 550.54.15         system-wide
//   cuda 12040
//   gpu GPU-1111 NVIDIA H100 80GB HBM3      a GPU, by uuid and name; what follows is about it
//   mig MIG-2222 NVIDIA H100 MIG 1g.10gb    a MIG instance of it; what follows is about that
//   memory TOTAL USED        bytes; absent: not supported
//   pci 00000000:1B:00.0
//   utilisation 17
//   temperature 41
//   power 69500              milliwatts
//   capability 9 0
//   process PID BYTES        BYTES "unknown" where the driver does not tell
//   fail FUNCTION CODE       of the GPU above, or of all where none is; "nvmlInit_v2" too
//   hang FUNCTION            never returns, as a driver that is stuck
#include "worker/devices/nvml_api.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <sstream>
#include <string>
#include <thread>
#include <vector>

namespace nvml = berth::worker::devices::nvml;

struct nvml::DeviceOpaque {
  std::string uuid;
  std::string name;
  std::optional<nvml::Memory> memory;
  std::string pci;
  std::optional<unsigned int> utilisation, temperature, power;
  std::optional<std::pair<int, int>> capability;
  std::vector<nvml::ProcessInfo> processes;
  std::map<std::string, nvml::Return> failures;
  std::vector<std::unique_ptr<DeviceOpaque>> instances;
};

namespace {

constexpr nvml::Return kInvalidArgument = 2;

struct Told {
  std::string driver = "550.54.15";
  int cuda = 12040;
  std::vector<std::unique_ptr<nvml::DeviceOpaque>> gpus;
  std::map<std::string, nvml::Return> failures;
  std::vector<std::string> hanging;
};

std::mutex mutex;
// Every state that was ever read: handles of an earlier one stay valid.
std::vector<std::shared_ptr<Told>> states;

std::string rest_of(std::istringstream& words) {
  std::string rest;
  std::getline(words >> std::ws, rest);
  return rest;
}

void read_about(nvml::DeviceOpaque& device, const std::string& word, std::istringstream& words) {
  const auto number = [&words] {
    unsigned int value = 0;
    words >> value;
    return value;
  };
  if (word == "memory") {
    unsigned long long total = 0;
    unsigned long long used = 0;
    words >> total >> used;
    device.memory = nvml::Memory{total, total - used, used};
  } else if (word == "pci") {
    device.pci = rest_of(words);
  } else if (word == "utilisation") {
    device.utilisation = number();
  } else if (word == "temperature") {
    device.temperature = number();
  } else if (word == "power") {
    device.power = number();
  } else if (word == "capability") {
    const auto major = static_cast<int>(number());
    device.capability = {major, static_cast<int>(number())};
  } else if (word == "process") {
    const unsigned int pid = number();
    const std::string bytes = rest_of(words);
    device.processes.push_back(
        {pid, bytes == "unknown" ? nvml::kMemoryNotAvailable : std::stoull(bytes), 0, 0});
  }
}

std::shared_ptr<Told> read_file() {
  auto told = std::make_shared<Told>();
  const char* path = std::getenv("FAKE_NVML_FILE");
  if (path == nullptr) return told;
  std::ifstream file(path);
  nvml::DeviceOpaque* device = nullptr;
  for (std::string line; std::getline(file, line);) {
    std::istringstream words(line);
    std::string word;
    if (!(words >> word) || word.front() == '#') continue;
    if (word == "driver") {
      told->driver = rest_of(words);
    } else if (word == "cuda") {
      words >> told->cuda;
    } else if (word == "hang") {
      told->hanging.push_back(rest_of(words));
    } else if (word == "fail") {
      std::string function;
      nvml::Return code = 0;
      words >> function >> code;
      (device == nullptr ? told->failures : device->failures)[function] = code;
    } else if (word == "gpu" || word == "mig") {
      auto& list = word == "gpu" ? told->gpus : told->gpus.back()->instances;
      list.push_back(std::make_unique<nvml::DeviceOpaque>());
      device = list.back().get();
      words >> device->uuid;
      device->name = rest_of(words);
    } else if (device != nullptr) {
      read_about(*device, word, words);
    }
  }
  return told;
}

std::shared_ptr<Told> state(bool anew = false) {
  const std::lock_guard lock(mutex);
  if (anew || states.empty()) states.push_back(read_file());
  return states.back();
}

// What `function` is told to do instead of its work.
std::optional<nvml::Return> disturbed(const char* function, nvml::Device device = nullptr) {
  const auto told = state();
  if (std::find(told->hanging.begin(), told->hanging.end(), function) != told->hanging.end()) {
    for (;;) std::this_thread::sleep_for(std::chrono::hours(1));
  }
  const auto& failures = device == nullptr ? told->failures : device->failures;
  const auto found = failures.find(function);
  if (found != failures.end()) return found->second;
  return std::nullopt;
}

nvml::Return give(const std::string& text, char* out, unsigned int size) {
  if (text.size() >= size) return nvml::kInsufficientSize;
  std::memcpy(out, text.c_str(), text.size() + 1);
  return nvml::kSuccess;
}

template <class T>
nvml::Return give(const std::optional<T>& value, T* out) {
  if (!value) return nvml::kNotSupported;
  *out = *value;
  return nvml::kSuccess;
}

}  // namespace

#define FAKE(function, device) \
  if (const auto instead = disturbed(#function, device)) return *instead

extern "C" {

nvml::Return nvmlInit_v2() {
  state(true);
  FAKE(nvmlInit_v2, nullptr);
  return nvml::kSuccess;
}
nvml::Return nvmlShutdown() { return nvml::kSuccess; }

const char* nvmlErrorString(nvml::Return code) {
  if (code == 9) return "Driver Not Loaded";
  if (code == 15) return "GPU is lost";
  return "Unknown Error";
}

nvml::Return nvmlSystemGetDriverVersion(char* out, unsigned int size) {
  FAKE(nvmlSystemGetDriverVersion, nullptr);
  return give(state()->driver, out, size);
}
nvml::Return nvmlSystemGetCudaDriverVersion_v2(int* out) {
  FAKE(nvmlSystemGetCudaDriverVersion_v2, nullptr);
  *out = state()->cuda;
  return nvml::kSuccess;
}
nvml::Return nvmlDeviceGetCount_v2(unsigned int* out) {
  const auto told = state(true);
  FAKE(nvmlDeviceGetCount_v2, nullptr);
  *out = static_cast<unsigned int>(told->gpus.size());
  return nvml::kSuccess;
}
nvml::Return nvmlDeviceGetHandleByIndex_v2(unsigned int index, nvml::Device* out) {
  const auto told = state();
  if (index >= told->gpus.size()) return kInvalidArgument;
  *out = told->gpus[index].get();
  FAKE(nvmlDeviceGetHandleByIndex_v2, *out);
  return nvml::kSuccess;
}
nvml::Return nvmlDeviceGetMemoryInfo(nvml::Device device, nvml::Memory* out) {
  FAKE(nvmlDeviceGetMemoryInfo, device);
  if (const auto all = disturbed("nvmlDeviceGetMemoryInfo")) return *all;
  return give(device->memory, out);
}
nvml::Return nvmlDeviceGetName(nvml::Device device, char* out, unsigned int size) {
  FAKE(nvmlDeviceGetName, device);
  return give(device->name, out, size);
}
nvml::Return nvmlDeviceGetUUID(nvml::Device device, char* out, unsigned int size) {
  FAKE(nvmlDeviceGetUUID, device);
  return give(device->uuid, out, size);
}
nvml::Return nvmlDeviceGetPciInfo_v3(nvml::Device device, nvml::PciInfo* out) {
  FAKE(nvmlDeviceGetPciInfo_v3, device);
  if (device->pci.empty()) return nvml::kNotSupported;
  return give(device->pci, out->bus_id, sizeof out->bus_id);
}
nvml::Return nvmlDeviceGetUtilizationRates(nvml::Device device, nvml::Utilization* out) {
  FAKE(nvmlDeviceGetUtilizationRates, device);
  return give(device->utilisation, &out->gpu);
}
nvml::Return nvmlDeviceGetTemperature(nvml::Device device, unsigned int, unsigned int* out) {
  FAKE(nvmlDeviceGetTemperature, device);
  return give(device->temperature, out);
}
nvml::Return nvmlDeviceGetPowerUsage(nvml::Device device, unsigned int* out) {
  FAKE(nvmlDeviceGetPowerUsage, device);
  return give(device->power, out);
}
nvml::Return nvmlDeviceGetCudaComputeCapability(nvml::Device device, int* major, int* minor) {
  FAKE(nvmlDeviceGetCudaComputeCapability, device);
  if (!device->capability) return nvml::kNotSupported;
  *major = device->capability->first;
  *minor = device->capability->second;
  return nvml::kSuccess;
}
nvml::Return nvmlDeviceGetComputeRunningProcesses_v3(nvml::Device device, unsigned int* count,
                                                     nvml::ProcessInfo* out) {
  FAKE(nvmlDeviceGetComputeRunningProcesses_v3, device);
  const auto room = *count;
  *count = static_cast<unsigned int>(device->processes.size());
  if (room < device->processes.size()) return nvml::kInsufficientSize;
  std::copy(device->processes.begin(), device->processes.end(), out);
  return nvml::kSuccess;
}
nvml::Return nvmlDeviceGetMigMode(nvml::Device device, unsigned int* current,
                                  unsigned int* pending) {
  FAKE(nvmlDeviceGetMigMode, device);
  *current = *pending = device->instances.empty() ? 0 : nvml::kMigEnabled;
  return nvml::kSuccess;
}
nvml::Return nvmlDeviceGetMaxMigDeviceCount(nvml::Device device, unsigned int* out) {
  FAKE(nvmlDeviceGetMaxMigDeviceCount, device);
  *out = 7;
  return nvml::kSuccess;
}
nvml::Return nvmlDeviceGetMigDeviceHandleByIndex(nvml::Device device, unsigned int index,
                                                 nvml::Device* out) {
  FAKE(nvmlDeviceGetMigDeviceHandleByIndex, device);
  if (index >= device->instances.size()) return nvml::kNotFound;
  *out = device->instances[index].get();
  return nvml::kSuccess;
}

}  // extern "C"
