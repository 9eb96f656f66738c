// Instances as the controllers make them, and as they are when they lose their place. Pure.
#pragma once

#include "base/clock.h"
#include "model/instance.h"

#include <string_view>

namespace berth::server {

// One of the model's revision in force, without a place; `id` is the end of its name.
[[nodiscard]] model::Instance make_instance(const model::Model& model, std::string_view id,
                                            SystemTime now);

// Takes its place away, under another generation: what still runs of it belongs to an older one.
void forget_place(model::Instance& instance);

}  // namespace berth::server
