// Why a worker can not take an instance: codes with figures, and the text that people read.
#pragma once

#include "base/describe.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace berth::schedule {

// The named rules, in the order in which they are asked.
enum class RejectionCode {
  no_workers,           // the cluster has none
  invalid_request,      // the deployment itself can not be met anywhere; `detail` says why
  not_wanted,           // other workers or devices were named
  worker_not_ready,     // `detail` is the worker's reason
  failed_there,         // it was started there too often in vain
  cordoned,             // an operator wants nothing new there
  label_mismatch,       // `detail` is the label
  platform,             // the backend does not run on "os/arch"
  no_pack,              // no pack for the backend, or none of the wanted version
  pack_lacks,           // the packs lack a flag or ability; `detail` says which
  unknown_device,       // a wanted device is not there
  device_unusable,      // no pack can use the wanted device
  offload_not_allowed,  // the CPU would have to compute, and may not
  rank_memory,          // `needed` of each device against `available`, what the engine may take
  device_taken,         // `needed` is what the engine takes of any device, against `available`
  device_memory,        // `needed` on one device or several against `available`
  no_layer_fits,        // not even one layer on any device
  host_memory,          // `needed` of the machine's memory against `available`
  no_layout,            // its devices can not share the layers as asked; `detail` says how
  cpu_when_full,        // its devices are full, and the CPU alone is not chosen then
  no_estimate,          // how much memory it takes is not known
};
BOOST_DESCRIBE_ENUM(RejectionCode, no_workers, invalid_request, not_wanted, worker_not_ready,
                    failed_there, cordoned, label_mismatch, platform, no_pack, pack_lacks,
                    unknown_device, device_unusable, offload_not_allowed, rank_memory, device_taken,
                    device_memory, no_layer_fits, host_memory, no_layout, cpu_when_full,
                    no_estimate)

struct Rejection {
  RejectionCode code = RejectionCode::invalid_request;
  std::string worker;  // empty where it holds for all
  std::string device;  // empty where it is not about one
  Bytes needed;
  Bytes available;
  std::optional<std::uint32_t> fitting_context;  // tokens per request that would fit
  std::string context_flag;                      // that asks for them
  std::string detail;
};
BOOST_DESCRIBE_STRUCT(Rejection, (),
                      (code, worker, device, needed, available, fitting_context, context_flag,
                       detail))

using Rejections = std::vector<Rejection>;

// One rejection without its worker: "needs 18.2 GiB on one device, cuda:0 has 11.4 GiB; would fit
// with --ctx-size 4096".
std::string explain(const Rejection& rejection);

// All of them for a person: a line a worker, workers with the same reasons on one line.
std::string explain(const Rejections& rejections);

}  // namespace berth::schedule
