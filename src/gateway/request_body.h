// What the gateway reads from a request's body and changes in it, without parsing the rest.
#pragma once

#include "base/result.h"

#include <string>
#include <string_view>

namespace berth::gateway {

struct RoutedBody {
  std::string model;
  bool stream = false;
  bool wants_usage = false;  // the client asked for the usage event of a stream
  std::string upstream;      // the body to send on
};

// Reads "model", "stream" and "stream_options" of a JSON object. Where the request streams,
// `upstream` asks for the usage event whatever the client said. Fails with invalid_request for what
// is no JSON object or names a key twice (engines and parsers disagree on which of them counts),
// and with invalid_parameter naming the field. Pure; thread-safe.
Result<RoutedBody> read_body(std::string body);

}  // namespace berth::gateway
