#include "worker/devices/nvidia.h"

#include "worker/devices/nvml_api.h"
#include "worker/devices/readings.h"

#include <algorithm>
#include <array>

#include <dlfcn.h>

namespace berth::worker::devices {
namespace {

using nvml::Functions;

constexpr unsigned int kMostDevices = 256;
constexpr unsigned int kMostProcesses = 4096;

// A library that was opened and started. Never closed: its threads may be inside.
class Library {
 public:
  static Result<Library> open(const std::string& path) {
    void* handle = ::dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
    if (handle == nullptr) return fail(ErrorCode::not_found, "{}", ::dlerror());
    Library library;
    std::string missing;
#define BERTH_NVML_LOAD(required, ours, theirs, ...)                                           \
  library.call.ours = reinterpret_cast<decltype(library.call.ours)>(::dlsym(handle, #theirs)); \
  if ((required) && library.call.ours == nullptr) missing = #theirs;
    BERTH_NVML_FUNCTIONS(BERTH_NVML_LOAD)
#undef BERTH_NVML_LOAD
    library.call.error_string =
        reinterpret_cast<decltype(library.call.error_string)>(::dlsym(handle, "nvmlErrorString"));
    if (!missing.empty()) {
      return fail(ErrorCode::unsupported, "{} has no {}; a driver of 450 or newer has it", path,
                  missing);
    }
    BERTH_CHECK(library.check(library.call.init(), "nvmlInit_v2"));
    return library;
  }

  [[nodiscard]] Result<void> check(nvml::Return code, std::string_view what) const {
    if (code == nvml::kSuccess) return {};
    const char* text = call.error_string != nullptr ? call.error_string(code) : nullptr;
    return fail(ErrorCode::unavailable, "{}: {} ({})", what, text != nullptr ? text : "an error",
                code);
  }

  Functions call;
};

template <class Function, class... Arguments>
bool asked(Function function, Arguments... arguments) {
  return function != nullptr && function(arguments...) == nvml::kSuccess;
}

template <class Function>
std::string text_of(Function function, nvml::Device device) {
  std::array<char, nvml::kTextSize> text{};
  if (!asked(function, device, text.data(), static_cast<unsigned int>(text.size()))) return {};
  text.back() = '\0';
  return text.data();
}

class Nvidia : public Vendor {
 public:
  explicit Nvidia(std::string library) : path_(std::move(library)) {}

  [[nodiscard]] std::string_view name() const override { return "NVIDIA"; }
  [[nodiscard]] model::DeviceKind kind() const override { return model::DeviceKind::cuda; }

  Result<Sample> look() override {
    if (!library_) {
      BERTH_TRY(library_, Library::open(path_));
    }
    auto sample = look_once();
    if (!sample) {  // the driver may have been replaced
      library_->call.shutdown();
      library_.reset();
    }
    return sample;
  }

 private:
  Result<Sample> look_once() {
    unsigned int count = 0;
    BERTH_CHECK(library_->check(library_->call.count(&count), "nvmlDeviceGetCount_v2"));
    if (count > kMostDevices) {
      return fail(ErrorCode::corrupt, "NVML tells of {} devices, which can not be", count);
    }
    Sample sample;
    const Versions versions = read_versions();
    for (unsigned int i = 0; i < count; ++i) {
      nvml::Device device = nullptr;
      if (const auto found = library_->check(library_->call.handle(i, &device), "its handle");
          !found) {
        sample.warnings.push_back(fmt::format("cuda:{}: {}", i, found.error().to_string()));
        continue;
      }
      add(device, i, versions, sample);
    }
    return sample;
  }

  struct Versions {
    std::string driver;
    std::string cuda;
  };

  [[nodiscard]] Versions read_versions() const {
    Versions versions;
    std::array<char, nvml::kTextSize> text{};
    if (asked(library_->call.driver_version, text.data(),
              static_cast<unsigned int>(text.size() - 1))) {
      versions.driver = text.data();
    }
    // 1000 times the major version, and 10 times the minor one.
    if (int cuda = 0; asked(library_->call.cuda_version, &cuda) && cuda > 0) {
      versions.cuda = fmt::format("{}.{}", cuda / 1000, cuda % 1000 / 10);
    }
    return versions;
  }

  // A GPU, or the MIG instances that it is cut into.
  void add(nvml::Device device, unsigned int index, const Versions& versions, Sample& sample) {
    Reading reading{.device = {.kind = model::DeviceKind::cuda, .index = index}};
    reading.device.id = fmt::format("cuda:{}", index);
    reading.device.driver = versions.driver;
    reading.device.runtime = versions.cuda;
    nvml::PciInfo pci{};
    if (asked(library_->call.pci_info, device, &pci)) {
      pci.bus_id[sizeof pci.bus_id - 1] = '\0';
      reading.device.address = pci_address(pci.bus_id);
    }
    if (int major = 0, minor = 0; asked(library_->call.capability, device, &major, &minor)) {
      reading.device.capability = fmt::format("{}.{}", major, minor);
    }
    unsigned int temperature = 0;
    if (asked(library_->call.temperature, device, nvml::kTemperatureGpu, &temperature)) {
      reading.temperature = temperature;
    }
    if (unsigned int milliwatts = 0; asked(library_->call.power, device, &milliwatts)) {
      reading.power = milliwatts / 1000.0;
    }
    if (is_cut(device)) {
      add_instances(device, reading, sample);
    } else {
      fill(device, std::move(reading), sample);
    }
  }

  [[nodiscard]] bool is_cut(nvml::Device device) const {
    unsigned int current = 0;
    unsigned int pending = 0;
    return library_->call.mig_count != nullptr && library_->call.mig_handle != nullptr &&
           asked(library_->call.mig_mode, device, &current, &pending) &&
           current == nvml::kMigEnabled;
  }

  void add_instances(nvml::Device device, const Reading& whole, Sample& sample) {
    unsigned int most = 0;
    if (!asked(library_->call.mig_count, device, &most)) return;
    for (unsigned int i = 0; i < std::min(most, kMostDevices); ++i) {
      nvml::Device instance = nullptr;
      if (!asked(library_->call.mig_handle, device, i, &instance)) continue;  // a free place
      Reading reading = whole;
      reading.device.id = fmt::format("{}.{}", whole.device.id, i);
      reading.device.part_of = whole.device.id;
      fill(instance, std::move(reading), sample);
    }
  }

  // What a GPU and a MIG instance have alike.
  void fill(nvml::Device device, Reading reading, Sample& sample) {
    reading.device.name = text_of(library_->call.name, device);
    reading.device.uuid = text_of(library_->call.uuid, device);
    nvml::Utilization utilization{};
    if (asked(library_->call.utilization, device, &utilization)) {
      reading.utilisation = utilization.gpu;
    }
    nvml::Memory memory{};
    const auto code = library_->call.memory(device, &memory);
    if (code == nvml::kSuccess) {
      reading.memory = static_cast<double>(memory.total);
      reading.used = static_cast<double>(memory.used);
    } else if (code == nvml::kNotSupported) {
      reading.device.unified = true;
    } else {
      const auto error = library_->check(code, "its memory");
      sample.warnings.push_back(
          fmt::format("{}: {}", reading.device.id, error.error().to_string()));
    }
    add_processes(device, reading.device.id, sample);
    sample.devices.push_back(believe(std::move(reading), sample.warnings));
  }

  void add_processes(nvml::Device device, const std::string& id, Sample& sample) const {
    if (library_->call.processes == nullptr) return;
    std::vector<nvml::ProcessInfo> found(64);
    for (;;) {
      auto count = static_cast<unsigned int>(found.size());
      const auto code = library_->call.processes(device, &count, found.data());
      if (code == nvml::kInsufficientSize && found.size() < kMostProcesses) {
        found.resize(found.size() * 4);
        continue;
      }
      if (code != nvml::kSuccess) return;
      found.resize(std::min<std::size_t>(count, found.size()));
      break;
    }
    for (const auto& one : found) {
      if (one.used_gpu_memory == nvml::kMemoryNotAvailable) continue;
      const auto memory = believe_memory(static_cast<double>(one.used_gpu_memory));
      if (!memory) {
        sample.warnings.push_back(
            fmt::format("{}: process {} with {} bytes can not be; it is left out", id, one.pid,
                        one.used_gpu_memory));
        continue;
      }
      sample.processes.push_back(
          {.pid = static_cast<pid_t>(one.pid), .device = id, .memory = *memory});
    }
  }

  const std::string path_;
  std::optional<Library> library_;
};

}  // namespace

std::unique_ptr<Vendor> make_nvidia(std::string library) {
  return std::make_unique<Nvidia>(std::move(library));
}

}  // namespace berth::worker::devices
