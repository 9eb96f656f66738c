#include "worker/likely_cause.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <csignal>
#include <cstring>
#include <optional>
#include <string_view>

#include <fmt/format.h>

namespace berth::worker {
namespace {

struct Pattern {
  std::string_view text;  // in lower case
  std::string_view cause;
};

constexpr std::string_view kPort = "its port was taken";
constexpr std::string_view kDeviceMemory = "its device's memory is full";
constexpr std::string_view kCacheMemory =
    "its device has no room for the cache; give it a shorter context, or more memory";
constexpr std::string_view kMemory = "out of memory";
constexpr std::string_view kNoDriver = "the NVIDIA driver is missing";
constexpr std::string_view kOldDriver = "the NVIDIA driver is too old";
constexpr std::string_view kOldDevice = "the engine was not built for this device";
constexpr std::string_view kNoDevice = "the engine finds no device";
constexpr std::string_view kArchitecture = "the engine does not know this model architecture";
constexpr std::string_view kDamaged = "the model's file is damaged or cut short";
constexpr std::string_view kFlag = "the engine does not know a flag";
constexpr std::string_view kLibrary = "a library that the engine needs is missing";

// What engines print before they end. The first row that occurs counts, so what says more stands
// before what it brings with it. Where they come from: likely_cause_test.cpp.
constexpr auto kPatterns = std::to_array<Pattern>({
    {"address already in use", kPort},
    {"couldn't bind", kPort},
    {"could not bind", kPort},

    {"no space left on device", "the disk is full"},
    {"disk quota exceeded", "the disk is full"},
    {"insufficient shared memory", "there is too little shared memory (/dev/shm)"},
    {"too many open files", "the limit of open files is too low"},

    {"found no nvidia driver", kNoDriver},
    {"libcuda.so", kNoDriver},
    {"driver on your system is too old", kOldDriver},
    {"cuda driver version is insufficient", kOldDriver},
    {"driver/library version mismatch",
     "the NVIDIA driver was updated while it runs; restart the machine"},
    {"no kernel image is available", kOldDevice},
    {"is not compatible with the current pytorch", kOldDevice},
    {"no cuda-capable device is detected", kNoDevice},
    {"no cuda gpus are available", kNoDevice},
    {"invalid device ordinal", kNoDevice},

    {"no available memory for the cache blocks", kCacheMemory},
    {"kv cache is needed, which is larger than the available", kCacheMemory},
    {"than the maximum number of tokens that can be stored in kv cache", kCacheMemory},
    {"is less than desired gpu memory utilization", "other programs use its device's memory"},
    {"cuda out of memory", kDeviceMemory},
    {"hip out of memory", kDeviceMemory},
    {"npu out of memory", kDeviceMemory},
    {"cudamalloc failed: out of memory", kDeviceMemory},
    {"cuda error: out of memory", kDeviceMemory},
    {"cublas_status_alloc_failed", kDeviceMemory},
    {"erroroutofdevicememory", kDeviceMemory},

    {"unknown model architecture", kArchitecture},
    {"unsupported model architecture", kArchitecture},
    {"are not supported for now", kArchitecture},
    {"transformers does not recognize this architecture", kArchitecture},
    {"critical - model isn't supported", kArchitecture},
    {"trust_remote_code=true", "the model needs code of its own; --trust-remote-code lets it run"},

    {"not within the file bounds", kDamaged},
    {"model is corrupted or incomplete", kDamaged},
    {"invalid magic", kDamaged},
    {"error while deserializing header", kDamaged},
    {"pytorchstreamreader failed", kDamaged},
    {"wrong number of tensors", kDamaged},
    {"failed to read key-value pairs", kDamaged},
    {"failed to read tensor", kDamaged},

    {"defaultcpuallocator: can't allocate memory", kMemory},
    {"cannot allocate memory", kMemory},
    {"bad_alloc", kMemory},
    {"out of memory", kMemory},
    {"failed to allocate", kMemory},
    {"unable to allocate", kMemory},

    {"invalid argument:", kFlag},
    {"unknown argument", kFlag},
    {"unrecognized arguments", kFlag},
    {"error: argument -", "the engine does not accept the value of a flag"},

    {"version `glibc", "the machine's C library is too old for the engine"},
    {"no such file or directory: 'ffmpeg'", "ffmpeg is missing"},
    {"modulenotfounderror", "the engine pack is damaged; install it again"},
    {"cannot open shared object file", kLibrary},
    {"permission denied", "the engine may not read a file"},
    {"failed to load model", "the model could not be loaded"},
});

std::string to_lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(),
                         [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

// The head that Berth writes into a log says nothing of how the engine ended.
bool is_head(std::string_view line) { return line.starts_with("# "); }

std::optional<std::string_view> cause_in(std::span<const std::string> lines) {
  std::vector<std::string> texts;
  texts.reserve(lines.size());
  for (const auto& line : lines) {
    if (!is_head(line)) texts.push_back(to_lower(line));
  }
  for (const auto& pattern : kPatterns) {
    const bool occurs = std::ranges::any_of(
        texts, [&](const std::string& line) { return line.find(pattern.text) != line.npos; });
    if (occurs) return pattern.cause;
  }
  return std::nullopt;
}

std::string cause_of_signal(int number) {
  switch (number) {
    case SIGKILL:
      return "somebody killed it";
    case SIGTERM:
    case SIGINT:
    case SIGHUP:
      return "somebody asked it to end";
    case SIGILL:
      return "the processor lacks instructions that the engine uses";
    case SIGBUS:
      return "a file that it reads was cut short, or its disk failed";
    case SIGSEGV:
    case SIGABRT:
    case SIGFPE:
      return "the engine crashed";
    default:
      return {};
  }
}

}  // namespace

std::string signal_name(int number) {
  const char* name = ::sigabbrev_np(number);
  return name == nullptr ? fmt::format("signal {}", number) : fmt::format("SIG{}", name);
}

std::string likely_cause(const model::EngineExit& exit, const EndFacts& facts) {
  const bool failed = exit.signal || exit.exit_code.value_or(1) != 0;
  if (facts.memory_limit && failed) {
    return fmt::format(
        "out of memory: it needed more than its limit of {}, which is well beyond its claim; a "
        "larger claim (claim.ram) raises it",
        *facts.memory_limit);
  }
  if (facts.memory_kills && exit.signal == SIGKILL) {
    return "out of memory: the kernel ended it";
  }
  if (const auto cause = cause_in(exit.last_lines)) return std::string(*cause);
  if (facts.memory_kills && failed) {
    return "out of memory: the kernel ended a process of the engine";
  }
  if (const auto cause = cause_in(facts.log)) return std::string(*cause);
  return exit.signal ? cause_of_signal(*exit.signal) : std::string();
}

std::string describe_exit(const model::EngineExit& exit) {
  std::string text =
      exit.signal      ? fmt::format("the engine was ended by {}", signal_name(*exit.signal))
      : exit.exit_code ? fmt::format("the engine ended with code {}", *exit.exit_code)
                       : std::string("the engine did not start");
  if (!exit.likely_cause.empty()) text += fmt::format(" ({})", exit.likely_cause);
  if (!exit.last_lines.empty()) text += ": " + exit.last_lines.back();
  return text;
}

}  // namespace berth::worker
