#include "worker/system_facts.h"

#include "base/files.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <optional>
#include <sstream>
#include <string_view>
#include <sys/utsname.h>

#include <hwloc.h>
#include <sched.h>
#include <unistd.h>

namespace berth::worker {
namespace {

constexpr Bytes kSystemReserve = 512_MiB;
constexpr std::uint64_t kReserveShare = 20;  // a twentieth of the memory, where that is less

std::string first_line(const std::filesystem::path& path) {
  const auto text = read_file(path, 64_KiB);
  return text ? text->substr(0, text->find('\n')) : std::string();
}

// The value of "KEY: VALUE" or KEY="VALUE" in a small file.
std::string find_value(std::string_view text, std::string_view key, char separator) {
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(key)) continue;
    const auto at = line.find(separator);
    if (at == std::string::npos) continue;
    auto value = line.substr(at + 1);
    value.erase(0, value.find_first_not_of(" \t\""));
    value.erase(value.find_last_not_of(" \t\"") + 1);
    return value;
  }
  return {};
}

// A line of /proc/meminfo, which counts in KiB.
Bytes meminfo(std::string_view text, std::string_view key) {
  const std::string value = find_value(text, key, ':');
  return Bytes{std::strtoull(value.c_str(), nullptr, 10)} * 1024;
}

std::uint32_t count_cores() {
  hwloc_topology_t topology = nullptr;
  if (hwloc_topology_init(&topology) != 0) return 0;
  int cores = 0;
  if (hwloc_topology_load(topology) == 0) {
    cores = hwloc_get_nbobjs_by_type(topology, HWLOC_OBJ_CORE);
  }
  hwloc_topology_destroy(topology);
  return static_cast<std::uint32_t>(std::max(cores, 0));
}

std::uint32_t count_threads() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
  return static_cast<std::uint32_t>(std::max(CPU_COUNT(&set), 1));
}

std::string arch_of(const std::string& machine) {
  if (machine == "x86_64") return "amd64";
  if (machine == "aarch64") return "arm64";
  return machine;
}

struct Vendor {
  std::string_view id;
  std::string_view name;
  model::DeviceKind kind;
};

constexpr std::array kVendors = {
    Vendor{"0x10de", "NVIDIA", model::DeviceKind::cuda},
    Vendor{"0x1002", "AMD", model::DeviceKind::rocm},
    Vendor{"0x19e5", "Huawei Ascend", model::DeviceKind::cann},
    Vendor{"0x1ed5", "Moore Threads", model::DeviceKind::musa},
    Vendor{"0x1d94", "Hygon", model::DeviceKind::dtk},
    Vendor{"0x1e3e", "Iluvatar", model::DeviceKind::corex},
    Vendor{"0xcabc", "Cambricon", model::DeviceKind::mlu},
};

// PCI classes: 0x03 display controller, 0x12 processing accelerator.
bool is_gpu_class(std::string_view pci_class) {
  return pci_class.starts_with("0x03") || pci_class.starts_with("0x12");
}

}  // namespace

model::SystemFacts read_system_facts() {
  model::SystemFacts facts;
  utsname names{};
  if (::uname(&names) == 0) {
    facts.kernel = names.release;
    facts.hostname = names.nodename;
    facts.arch = arch_of(names.machine);
  }
  facts.os = "linux";
  facts.distribution =
      find_value(read_file("/etc/os-release", 64_KiB).value_or(""), "PRETTY_NAME", '=');
  facts.cpu = find_value(read_file("/proc/cpuinfo", 4_MiB).value_or(""), "model name", ':');
  facts.cores = count_cores();
  facts.threads = count_threads();
  facts.memory = meminfo(read_file("/proc/meminfo", 64_KiB).value_or(""), "MemTotal");
  return facts;
}

model::Device read_cpu_device(const model::SystemFacts& facts) {
  const std::string text = read_file("/proc/meminfo", 64_KiB).value_or("");
  const Bytes available = meminfo(text, "MemAvailable");
  return {.id = "cpu",
          .kind = model::DeviceKind::cpu,
          .name = facts.cpu,
          .index = 0,
          .memory = facts.memory,
          .used = facts.memory - available,
          .reserved = std::min(kSystemReserve, Bytes{facts.memory.count / kReserveShare}),
          .unified = false};
}

std::vector<DetectedGpu> detect_gpus(const std::string& pci_folder) {
  std::vector<DetectedGpu> gpus;
  std::error_code error;
  for (const auto& entry : std::filesystem::directory_iterator(pci_folder, error)) {
    if (!is_gpu_class(first_line(entry.path() / "class"))) continue;
    const std::string id = first_line(entry.path() / "vendor");
    for (const auto& vendor : kVendors) {
      if (id != vendor.id) continue;
      gpus.push_back({.kind = vendor.kind,
                      .vendor = std::string(vendor.name),
                      .address = entry.path().filename().string()});
    }
  }
  std::sort(gpus.begin(), gpus.end(),
            [](const auto& a, const auto& b) { return a.address < b.address; });
  return gpus;
}

std::vector<model::Device> to_devices(const std::vector<DetectedGpu>& gpus) {
  std::vector<model::Device> devices;
  std::map<model::DeviceKind, std::uint32_t> counts;
  devices.reserve(gpus.size());
  for (const auto& gpu : gpus) {
    const std::uint32_t index = counts[gpu.kind]++;
    devices.push_back({.id = fmt::format("{}:{}", enum_name(gpu.kind), index),
                       .kind = gpu.kind,
                       .name = gpu.vendor + " " + gpu.address,
                       .index = index,
                       .measured = false,
                       .address = gpu.address});
  }
  return devices;
}

std::vector<std::string> gpu_warnings(const std::vector<DetectedGpu>& gpus,
                                      const std::vector<model::PackStatus>& packs) {
  std::vector<std::string> warnings;
  std::vector<model::DeviceKind> told;
  for (const auto& gpu : gpus) {
    if (std::find(told.begin(), told.end(), gpu.kind) != told.end()) continue;
    told.push_back(gpu.kind);
    const std::string_view runtime = enum_name(gpu.kind);
    const bool usable = std::any_of(packs.begin(), packs.end(), [&](const auto& status) {
      const auto& runtimes = status.pack.runtimes;
      return std::find(runtimes.begin(), runtimes.end(), runtime) != runtimes.end();
    });
    if (usable) continue;
    warnings.push_back(
        fmt::format("this machine has a GPU of {} ({}), which no engine pack here can use, so "
                    "models run on the "
                    "CPU; see what packs can use with: berth engines list",
                    gpu.vendor, gpu.address));
  }
  return warnings;
}

std::map<std::string, std::string> current_environment() {
  std::map<std::string, std::string> variables;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    const std::string_view text(*entry);
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    variables.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return variables;
}

}  // namespace berth::worker
