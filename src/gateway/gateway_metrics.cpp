#include "gateway/gateway_metrics.h"

#include <map>
#include <mutex>
#include <string>
#include <tuple>

#include <prometheus/counter.h>
#include <prometheus/gauge.h>
#include <prometheus/histogram.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace berth::gateway {
namespace {

const prometheus::Histogram::BucketBoundaries kSeconds = {0.005, 0.02, 0.05, 0.1, 0.25, 0.5, 1,
                                                          2.5,   5,    10,   30,  60,   300};

double seconds(Duration duration) { return std::chrono::duration<double>(duration).count(); }

}  // namespace

namespace {

// What one kind of request counts into. Owned by the registry, for good.
struct Series {
  prometheus::Counter* requests = nullptr;
  prometheus::Histogram* durations = nullptr;  // this and the rest: null without a model
  prometheus::Histogram* first_bytes = nullptr;
  prometheus::Counter* prompt_tokens = nullptr;
  prometheus::Counter* completion_tokens = nullptr;
};

}  // namespace

struct GatewayMetrics::State {
  // Looking a series up in the registry costs more than all the rest of the counting.
  const Series& find(const RequestOutcome& outcome) {
    const auto key = std::tuple(outcome.model, outcome.route, outcome.status);
    const std::lock_guard lock(mutex);
    auto found = series.find(key);
    if (found == series.end()) found = series.emplace(key, make(outcome)).first;
    return found->second;
  }

  Series make(const RequestOutcome& outcome) {
    const std::string model(outcome.model);
    Series made;
    made.requests = &requests.Add({{"model", model},
                                   {"route", std::string(outcome.route)},
                                   {"status", std::to_string(outcome.status)}});
    if (model.empty()) return made;
    made.durations = &durations.Add({{"model", model}}, kSeconds);
    made.first_bytes = &first_bytes.Add({{"model", model}}, kSeconds);
    made.prompt_tokens = &tokens.Add({{"model", model}, {"kind", "prompt"}});
    made.completion_tokens = &tokens.Add({{"model", model}, {"kind", "completion"}});
    return made;
  }

  std::mutex mutex;
  std::map<std::tuple<std::string, std::string, int>, Series, std::less<>> series;
  prometheus::Registry registry;
  prometheus::Family<prometheus::Counter>& requests =
      prometheus::BuildCounter()
          .Name("berth_requests_total")
          .Help("Requests for models, by model, route and HTTP status")
          .Register(registry);
  prometheus::Family<prometheus::Counter>& tokens =
      prometheus::BuildCounter()
          .Name("berth_tokens_total")
          .Help("Tokens of models, by model and kind (prompt, completion)")
          .Register(registry);
  prometheus::Family<prometheus::Histogram>& durations =
      prometheus::BuildHistogram()
          .Name("berth_request_duration_seconds")
          .Help("From the request's head to the answer's end")
          .Register(registry);
  prometheus::Family<prometheus::Histogram>& first_bytes =
      prometheus::BuildHistogram()
          .Name("berth_time_to_first_byte_seconds")
          .Help("From the request's head to the first byte of the answer's body")
          .Register(registry);
};

GatewayMetrics::GatewayMetrics() : state_(std::make_unique<State>()) {}
GatewayMetrics::~GatewayMetrics() = default;

void GatewayMetrics::count(const RequestOutcome& outcome) {
  const Series& series = state_->find(outcome);
  series.requests->Increment();
  if (outcome.model.empty()) return;
  series.durations->Observe(seconds(outcome.duration));
  if (outcome.first_byte > Duration::zero())
    series.first_bytes->Observe(seconds(outcome.first_byte));
  series.prompt_tokens->Increment(static_cast<double>(outcome.usage.prompt_tokens));
  series.completion_tokens->Increment(static_cast<double>(outcome.usage.completion_tokens));
}

std::string GatewayMetrics::to_text(const Routes& routes) const {
  // Gauges of what is now are made afresh, so that models that are gone leave no trace.
  prometheus::Registry now;
  auto& ready = prometheus::BuildGauge()
                    .Name("berth_instances_ready")
                    .Help("Instances that answer requests, by model")
                    .Register(now);
  auto& in_flight = prometheus::BuildGauge()
                        .Name("berth_requests_in_flight")
                        .Help("Requests under way, by model and instance")
                        .Register(now);
  for (const auto& [name, route] : routes) {
    ready.Add({{"model", name}}).Set(static_cast<double>(route.ready.size()));
    for (const auto& target : route.ready) {
      in_flight.Add({{"model", name}, {"instance", target->instance}}).Set(target->in_flight);
    }
  }
  const prometheus::TextSerializer serializer;
  return serializer.Serialize(state_->registry.Collect()) + serializer.Serialize(now.Collect());
}

}  // namespace berth::gateway
