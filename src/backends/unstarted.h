// What backends share that this version knows and estimates, but does not start yet.
#pragma once

#include "backends/backend.h"

namespace berth::backends {

class UnstartedBackend : public Backend {
 public:
  [[nodiscard]] DeviceWish device_wish(const ParsedParameters& /*parameters*/) const override {
    return {};
  }
  // Fails with unsupported.
  [[nodiscard]] Result<model::LaunchPlan> launch(const LaunchContext& /*context*/) const override {
    return fail(ErrorCode::unsupported, "this version of Berth does not start {} yet",
                descriptor().name);
  }
};

}  // namespace berth::backends
