// Waiting, with progress, until a model serves, has the instances it should have, or is gone.
#pragma once

#include "api_client.h"
#include "api_views.h"
#include "base/clock.h"

#include <optional>
#include <string>
#include <vector>

namespace berth::app {

// Reads "90s", "30m", "2h", "7d", or seconds alone. Fails with invalid_parameter, naming `flag`.
Result<Duration> parse_duration(const std::string& text, std::string_view flag);
// "90" (seconds), "90s", "30m", "2h"; 0 is no limit (nothing). Fails with invalid_parameter.
Result<std::optional<Duration>> parse_timeout(const std::string& text);

// Waits until as many instances are ready as the model wants, and no more are there. Returns the
// model as it then is. Fails with unavailable when an instance was given up (with its reason, exit
// code and last lines), timeout, or not_found when the model went away.
Result<json::value> wait_until_ready(const ApiClient& client, const std::string& name,
                                     std::optional<Duration> timeout);

// Waits until none of the models is there any more. Fails with timeout.
Result<void> wait_until_gone(const ApiClient& client, const std::vector<std::string>& names,
                             Duration timeout);

// Waits until none of the models has an instance any more. Fails with timeout.
Result<void> wait_until_stopped(const ApiClient& client, const std::vector<std::string>& names,
                                Duration timeout);

// Waits until no instance is placed on the worker any more. Fails with timeout, or not_found when
// the worker went away.
Result<void> wait_until_drained(const ApiClient& client, const std::string& worker,
                                std::optional<Duration> timeout);

// Warnings of a model and of its instances, each once, on standard error.
void print_warnings(const ApiClient& client, const ModelView& model);

}  // namespace berth::app
