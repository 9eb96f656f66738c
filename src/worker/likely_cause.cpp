#include "worker/likely_cause.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <csignal>
#include <string_view>

#include <fmt/format.h>

namespace berth::worker {
namespace {

struct Pattern {
  std::string_view text;  // in lower case
  std::string_view cause;
};

// What engines print before they end; the first that occurs counts.
constexpr std::array kPatterns = {
    Pattern{"address already in use", "its port was taken"},
    Pattern{"couldn't bind", "its port was taken"},
    Pattern{"could not bind", "its port was taken"},
    Pattern{"unknown model architecture", "the engine does not know this model architecture"},
    Pattern{"unsupported model architecture", "the engine does not know this model architecture"},
    Pattern{"out of memory", "out of memory"},
    Pattern{"cannot allocate memory", "out of memory"},
    Pattern{"failed to allocate", "out of memory"},
    Pattern{"bad_alloc", "out of memory"},
    Pattern{"no space left on device", "the disk is full"},
    Pattern{"invalid argument:", "the engine does not know a flag"},
    Pattern{"unknown argument", "the engine does not know a flag"},
    Pattern{"unrecognized arguments", "the engine does not know a flag"},
    Pattern{"libcuda", "the NVIDIA driver is missing or too old"},
    Pattern{"cuda driver version is insufficient", "the NVIDIA driver is too old"},
    Pattern{"failed to load model", "the model could not be loaded"},
    Pattern{"modulenotfounderror", "the engine pack is damaged; install it again"},
};

std::string to_lower(std::string_view text) {
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return lower;
}

}  // namespace

std::string likely_cause(const model::EngineExit& exit) {
  for (const auto& pattern : kPatterns) {
    for (const auto& line : exit.last_lines) {
      if (to_lower(line).find(pattern.text) != std::string::npos) {
        return std::string(pattern.cause);
      }
    }
  }
  if (exit.signal == SIGKILL) return "killed, probably for want of memory";
  if (exit.signal == SIGSEGV || exit.signal == SIGABRT || exit.signal == SIGILL) {
    return "the engine crashed";
  }
  return {};
}

std::string describe_exit(const model::EngineExit& exit) {
  std::string text = exit.signal ? fmt::format("the engine was ended by signal {}", *exit.signal)
                     : exit.exit_code
                         ? fmt::format("the engine ended with code {}", *exit.exit_code)
                         : std::string("the engine did not start");
  if (!exit.likely_cause.empty()) text += fmt::format(" ({})", exit.likely_cause);
  if (!exit.last_lines.empty()) text += ": " + exit.last_lines.back();
  return text;
}

}  // namespace berth::worker
