// berth sim: many models that come and go on a described cluster, in simulated time.
#include "base/files.h"
#include "command.h"
#include "described_cluster.h"
#include "profile_here.h"
#include "schedule/workload_file.h"
#include "terminal.h"
#include "wait.h"

#include <algorithm>
#include <memory>

#include <fmt/format.h>

namespace berth::app {
namespace {

constexpr std::int64_t kRows = 20;  // of the table

struct SimFlags {
  std::string cluster;
  std::string workload;
  std::optional<std::string> interval;
};

struct SampleRow {
  Cell time, running, waiting, claimed, fragmented, machines;
};
BOOST_DESCRIBE_STRUCT(SampleRow, (), (time, running, waiting, claimed, fragmented, machines))

std::string per_cent(double part) { return fmt::format("{:.1f} %", part * 100); }

Duration interval_of(const schedule::Workload& workload) {
  Duration last{1};
  for (const auto& arrival : workload.arrivals) {
    last = std::max(last, arrival.at + arrival.stays.value_or(Duration(0)));
  }
  return std::max(Duration(last.count() / kRows), Duration(1));
}

void print_simulation(const schedule::Simulation& done) {
  fmt::print("{}: {} placed, {} still waiting after {}\n", counted(done.arrived, "instance"),
             done.placed, done.waiting, duration_text(done.ended));
  for (const auto& [stage, count] : done.stages) fmt::print("  {:<18}{}\n", stage, count);
  fmt::print("waits: p50 {}, p99 {}, max {}\n", duration_text(done.waits.p50),
             duration_text(done.waits.p99), duration_text(done.waits.max));
  fmt::print("memory claimed: {} on average, {} at most\n\n", per_cent(done.mean_claimed),
             per_cent(done.peak_claimed));
  std::vector<SampleRow> rows;
  rows.reserve(done.samples.size());
  for (const auto& sample : done.samples) {
    rows.push_back({.time = duration_text(sample.at),
                    .running = std::to_string(sample.running),
                    .waiting = std::to_string(sample.waiting),
                    .claimed = per_cent(sample.claimed),
                    .fragmented = per_cent(sample.fragmented),
                    .machines = per_cent(sample.host_claimed)});
  }
  print_table(rows);
  fmt::print(
      "claimed: of the devices' memory  fragmented: free memory on devices that others share  "
      "machines: claimed of theirs\n");
  for (const auto& [model, reason] : done.reasons) {
    fmt::print("\n{} waits at the end:\n{}\n", printable(model), printable_lines(reason));
  }
}

Result<schedule::Simulation> simulate(const CommonOptions& common, const SimFlags& flags) {
  BERTH_TRY(auto cluster, read_described_cluster(common, flags.cluster));
  BERTH_TRY(const auto content, read_file(flags.workload));
  const auto read = [](const std::string& path) -> Result<model::ModelProfile> {
    BERTH_TRY(auto source, whole_source(path));
    BERTH_TRY(auto model, profile_here(source));
    return std::move(model.profile);
  };
  BERTH_TRY(const auto workload,
            schedule::read_workload(content, flags.workload, backends::builtin_backends(), read));
  Duration interval = interval_of(workload);
  if (flags.interval) {
    BERTH_TRY(interval, parse_duration(*flags.interval, "--interval"));
    if (interval == Duration(0)) {
      return fail(ErrorCode::invalid_parameter, "--interval must be at least 1s (got {})",
                  *flags.interval);
    }
  }
  return schedule::simulate(workload, std::move(cluster), interval);
}

int run(const CommonOptions& common, const SimFlags& flags) {
  const auto done = simulate(common, flags);
  if (!done) return report_input(done.error());
  if (common.json)
    print_json(to_json(*done));
  else
    print_simulation(*done);
  return kDone;
}

}  // namespace

void add_sim(CLI::App& app, const CommonOptions& common, Command& command) {
  auto flags = std::make_shared<SimFlags>();
  auto* sim = app.add_subcommand("sim", "Simulate models that come and go on a described cluster");
  sim->add_option("CLUSTER", flags->cluster, "The cluster (YAML)")->required();
  sim->add_option("WORKLOAD", flags->workload, "What comes and goes (YAML)")->required();
  sim->add_option("--interval", flags->interval, "Time between two lines (a twentieth of it all)");
  sim->footer(
      "docs/clusters.md tells what the two files may say. The same files give the same result.\n"
      "Example: berth sim cluster.yaml workload.yaml --json");
  sim->callback(
      [&common, &command, flags] { command = [&common, flags] { return run(common, *flags); }; });
}

}  // namespace berth::app
