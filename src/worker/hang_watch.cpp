#include "worker/hang_watch.h"

#include "process/cpu_time.h"
#include "worker/engine_questions.h"

#include <fmt/format.h>

namespace berth::worker {

HangWatch::HangWatch(net::Executor executor, const Clock& clock, net::ThreadPool& pool,
                     WatchedEngine engine)
    : executor_(std::move(executor)),
      clock_(clock),
      pool_(pool),
      engine_(std::move(engine)),
      liveness_(clock.steady_now()),
      trial_(clock.steady_now(), {.idle_before = engine_.probe.request.idle_before}) {}

net::Task<Result<std::string>> HangWatch::look() {
  if (engine_.probe.path.empty()) co_return std::string();
  const auto said = co_await ask();
  if (!said) co_return co_await miss("it did not answer");
  const auto figures = figures_in(*said);
  if (figures && trial_.is_due(clock_.steady_now(), *figures)) {
    const bool works = co_await proves_itself(*figures);
    if (!works) co_return co_await miss("it took requests but answered none");
  }
  liveness_.answered(clock_.steady_now());
  co_return std::string();
}

// What it says at its probe's path, whatever the status.
net::Task<std::optional<std::string>> HangWatch::ask() {
  auto answer =
      co_await ask_liveness(executor_, engine_.probe, engine_.key, liveness_.policy().patience);
  if (!answer) co_return std::nullopt;
  co_return std::move(answer->body);
}

// Whether it answers a small real request, or meanwhile makes progress with those of others.
net::Task<bool> HangWatch::proves_itself(WorkFigures before) {
  const auto answer =
      co_await send_trial(executor_, engine_.probe, engine_.key, trial_.policy().patience);
  const auto said = co_await ask();
  const auto after = said ? figures_in(*said) : std::nullopt;
  if (answer) {
    trial_.answered(clock_.steady_now(), after);
    co_return true;
  }
  co_return after && after->progress != before.progress;
}

net::Task<Result<std::string>> HangWatch::miss(std::string_view what) {
  std::optional<Duration> processor;
  if (engine_.process) {
    auto used = co_await net::offload(
        pool_, [process = *engine_.process] { return process::cpu_time_of_tree(process); });
    if (used) processor = *used;
  }
  const SteadyTime now = clock_.steady_now();
  if (!liveness_.missed(now, processor)) co_return std::string();
  co_return fmt::format("{} for {} s", what, liveness_.silence(now).count() / 1000);
}

std::optional<WorkFigures> HangWatch::figures_in(std::string_view text) const {
  const auto& probe = engine_.probe;
  if (probe.request.path.empty() || probe.load.empty() || probe.progress.empty()) {
    return std::nullopt;
  }
  const auto load = sum_of_figures(text, probe.load);
  const auto progress = sum_of_figures(text, probe.progress);
  if (!load || !progress) return std::nullopt;
  return WorkFigures{.load = *load, .progress = *progress};
}

}  // namespace berth::worker
