// What a route asks of a model, and whether the model is made for it.
#pragma once

#include "base/result.h"
#include "gateway/routing_table.h"

#include <string_view>

namespace berth::gateway {

enum class Task { text, embeddings, rerank };

// Fails with invalid_parameter (field "model") where `model` is made for something else, and says
// where it answers. A model that is not there is left to choose_target. Pure.
Result<void> check_task(const Routes& routes, std::string_view model, Task task);

}  // namespace berth::gateway
