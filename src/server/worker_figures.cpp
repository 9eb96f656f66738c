#include "server/worker_figures.h"

#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace berth::server {

std::string worker_figures(const ControlLoop& control) {
  prometheus::Registry now;
  auto& workers =
      prometheus::BuildGauge().Name("berth_workers").Help("Workers by state").Register(now);
  const auto counts = control.worker_counts();
  for (const auto state : {model::WorkerState::ready, model::WorkerState::not_ready,
                           model::WorkerState::suspected, model::WorkerState::lost}) {
    const auto found = counts.find(state);
    workers.Add({{"state", std::string(enum_name(state))}})
        .Set(found == counts.end() ? 0 : static_cast<double>(found->second));
  }
  prometheus::BuildGauge()
      .Name("berth_mass_loss_hold_seconds")
      .Help("For how long instances of lost workers are not moved yet; 0: they are")
      .Register(now)
      .Add({})
      .Set(std::chrono::duration<double>(control.mass_loss_hold()).count());
  return prometheus::TextSerializer().Serialize(now.Collect());
}

}  // namespace berth::server
