// The flags that describe a deployment, as `berth deploy` and `berth plan` take them.
#pragma once

#include "base/result.h"
#include "model/deployment.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include <CLI/CLI.hpp>

namespace berth::app {

// What was given; everything else stays as it is.
struct DeploymentFlags {
  std::optional<std::uint32_t> replicas;
  std::optional<std::uint32_t> readiness_timeout;
  std::optional<std::uint32_t> progress_deadline;
  std::optional<std::string> memory_limit;
  std::optional<std::string> backend;
  std::optional<std::string> backend_version;
  std::vector<std::string> categories;
  std::vector<std::string> env;
  std::vector<std::string> worker_selector;
  std::vector<std::string> devices;
  std::optional<std::string> cpu_offload;
  bool cpu_when_full = false;
  std::optional<std::string> distributed;
  std::optional<std::string> placement;
  std::optional<std::string> update;
  std::optional<std::string> vram;
  std::optional<std::string> ram;
  std::optional<std::string> restart;
  std::optional<std::uint32_t> max_failures;
};

void add_deployment_flags(CLI::App& command, DeploymentFlags& flags);

// `base` with what the flags say, and the engine's flags where there are any. They go the way that
// an API request goes, so that both are checked alike. Fails with invalid_parameter and the field.
Result<model::Deployment> with_flags(const model::Deployment& base, const DeploymentFlags& flags,
                                     const std::vector<std::string>& engine_flags);

}  // namespace berth::app
