// How a model fits devices of given sizes. Pure: it asks the same functions that place instances.
#pragma once

#include "backends/backend.h"
#include "base/describe.h"
#include "model/placement.h"
#include "model/profile.h"

#include <cstdint>
#include <string>
#include <vector>

namespace berth::server {

// How a model lies on devices.
enum class FitKind {
  whole,   // all of it on one device or several
  partly,  // some layers on the devices, the rest on the CPU
  none,    // not even a part, or not with this engine
};
BOOST_DESCRIBE_ENUM(FitKind, whole, partly, none)

struct DeviceFit {
  std::vector<Bytes> devices;  // the memory of each, as asked
  FitKind kind = FitKind::none;
  model::Claim claim;                 // empty where it does not fit
  std::uint32_t longest_context = 0;  // tokens of one request with all of the model on the devices
  std::uint64_t cached_tokens = 0;    // of all requests together, where the engine shares its cache
  std::vector<std::string> reasons;   // why it is not whole
};
BOOST_DESCRIBE_STRUCT(DeviceFit, (),
                      (devices, kind, claim, longest_context, cached_tokens, reasons))

struct FitQuestion {
  const model::ModelProfile& profile;
  const backends::Backend& backend;
  const std::vector<std::string>& parameters;  // the user's flags, checked before
  std::vector<Bytes> devices;                  // 1 to 16
  Bytes host;                                  // main memory beside them; 0 = enough
  std::uint32_t cores = 0;
  model::ComputeTable compute = {};  // what an engine has measured of its buffers
};

// Fails with invalid_parameter (field "devices") for none or more than 16, and with what the
// backend says of flags that can not be met.
Result<DeviceFit> fit_devices(const FitQuestion& question);

}  // namespace berth::server
