// Portions: a request for many inputs, which its engine gets some at a time. An engine that does
// not see that a client has left computes what it was given to its end, and others wait behind it:
// with portions that is little.
#pragma once

#include "base/json.h"
#include "base/result.h"
#include "gateway/engine_call.h"
#include "gateway/model_task.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth::gateway {

// Inputs of one request at most, as OpenAI has it.
inline constexpr std::size_t kMostInputs = 2048;
// Bytes of one text at most: far more than any model reads, and no work to refuse.
inline constexpr std::size_t kLargestInput = 1U << 20U;

// One request. Not thread-safe. The order of calls: `accept` once, then `next` and `take` in turns
// until there is none, then `finish`.
class Portions {
 public:
  Portions() = default;
  Portions(const Portions&) = delete;
  Portions& operator=(const Portions&) = delete;
  virtual ~Portions() = default;

  // The name of the model that is asked for.
  [[nodiscard]] virtual const std::string& model() const = 0;
  // Looks at what serves it. Fails with invalid_parameter for what that model can not do.
  virtual Result<void> accept(const ModelRoute& route, const Target& target) = 0;
  // The body of the next request to the engine; nullopt when all inputs are answered.
  virtual std::optional<std::string> next() = 0;
  // The engine's answer to the last of them. Fails with corrupt where it is not what was asked for.
  virtual Result<void> take(const json::object& answer) = 0;
  // The client's answer, as JSON.
  virtual std::string finish(const Usage& usage) = 0;
};

// How many inputs, of these sizes in bytes from `begin` on, go to an engine at once: as many as its
// slots take, and short ones more. At least one where any is left. Pure.
std::size_t portion_of(const std::vector<std::size_t>& sizes, std::size_t begin,
                       std::uint32_t slots);

// A text field that must be there. The checks that follow fail with invalid_parameter, naming it.
Result<std::string> take_text(json::object& body, std::string_view field);
// A whole number from 1 that may be absent or null.
Result<std::optional<std::uint64_t>> take_count(json::object& body, std::string_view field);
// True or false, `otherwise` where it is absent or null.
Result<bool> take_switch(json::object& body, std::string_view field, bool otherwise);

using ReadPortions = Result<std::unique_ptr<Portions>> (*)(json::object body);

// Answers a request for `task`, which `read` reads, by `path` of an engine.
net::Task<> relay_portions(GatewayContext& context, net::Exchange& exchange, ReadPortions read,
                           Task task, std::string path, std::string route);

}  // namespace berth::gateway
