// GatewayMetrics: what the gateway counts, in Prometheus's text form.
#pragma once

#include "base/clock.h"
#include "gateway/routing_table.h"
#include "gateway/usage.h"

#include <memory>
#include <string>
#include <string_view>

namespace berth::gateway {

// What became of one request for a model.
struct RequestOutcome {
  std::string_view model;  // as routed; empty where none was found
  std::string_view route;  // "chat_completions"
  int status = 200;        // 499: the client left
  Duration duration{};
  Duration first_byte{};  // zero where none came
  Usage usage;
};

// Thread-safe.
class GatewayMetrics {
 public:
  GatewayMetrics();
  ~GatewayMetrics();
  GatewayMetrics(const GatewayMetrics&) = delete;
  GatewayMetrics& operator=(const GatewayMetrics&) = delete;

  void count(const RequestOutcome& outcome);
  // Everything, with the routes' ready instances and requests in flight as of now.
  [[nodiscard]] std::string to_text(const Routes& routes) const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace berth::gateway
