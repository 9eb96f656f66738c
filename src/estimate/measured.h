// Compute buffers as the engine measured them, where it did. Pure and thread-safe.
#pragma once

#include "base/bytes.h"
#include "estimate/gguf.h"
#include "model/compute_table.h"

#include <optional>

namespace berth::estimate {

// The figure of `role` for as many slots and at least as many tokens as `options` has: buffers grow
// with tokens. Null where `table` is null or lacks it.
const model::ComputeFigure* measured(const model::ComputeTable* table, model::ComputeRole role,
                                     const GgufOptions& options);

// The largest figure of `role`, whatever the tokens: a projector's do not depend on them.
std::optional<Bytes> measured_at_most(const model::ComputeTable* table, model::ComputeRole role);

}  // namespace berth::estimate
