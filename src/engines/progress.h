// InstallProgress: what an installation tells while it runs, and how the installers' output is read
// for it.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace berth::engines {

// What an installation is doing. `fraction` (0 to 1, never going back) is coarse.
struct InstallProgress {
  std::string step;  // "downloading xllamacpp (33.2MiB)"
  std::optional<double> fraction;
};
using OnInstallProgress = std::function<void(const InstallProgress&)>;

// The step that one line of uv's or pip's output tells of; nothing if it tells of none. Pure.
std::optional<std::string> step_in(std::string_view line);

}  // namespace berth::engines
