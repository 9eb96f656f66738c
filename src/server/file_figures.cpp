#include "server/file_figures.h"

#include <prometheus/gauge.h>
#include <prometheus/registry.h>
#include <prometheus/text_serializer.h>

namespace berth::server {

std::string file_figures(const WorkerRegistry& workers) {
  prometheus::Registry now;
  auto& sizes = prometheus::BuildGauge()
                    .Name("berth_files_bytes")
                    .Help("Files of models that are wanted, by worker, source and state")
                    .Register(now);
  auto& done = prometheus::BuildGauge()
                   .Name("berth_files_done_bytes")
                   .Help("Of these files, what is on the worker")
                   .Register(now);
  auto& speeds = prometheus::BuildGauge()
                     .Name("berth_files_bytes_per_second")
                     .Help("Of these files, what comes in a second")
                     .Register(now);
  for (const auto& [worker, statuses] : workers.files()) {
    for (const auto& status : statuses) {
      const prometheus::Labels labels{{"worker", worker},
                                      {"source", status.source},
                                      {"commit", status.commit},
                                      {"key", status.key},
                                      {"state", std::string(enum_name(status.state))}};
      sizes.Add(labels).Set(static_cast<double>(status.total.count));
      done.Add(labels).Set(static_cast<double>(status.done.count));
      speeds.Add(labels).Set(static_cast<double>(status.per_second.count));
    }
  }
  return prometheus::TextSerializer().Serialize(now.Collect());
}

}  // namespace berth::server
