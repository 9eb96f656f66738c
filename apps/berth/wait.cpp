#include "wait.h"

#include "base/duration.h"
#include "terminal.h"

#include <algorithm>
#include <charconv>
#include <functional>
#include <set>
#include <thread>

#include <fmt/format.h>

namespace berth::app {
namespace {

using model::InstanceState;

constexpr std::chrono::milliseconds kLook{300};
constexpr std::size_t kShownLines = 10;

struct Seen {
  json::value answer;
  ModelView model;
  std::vector<InstanceView> instances;
};

Result<std::vector<InstanceView>> instances_of(const ApiClient& client, const std::string& name) {
  BERTH_TRY(const auto answer, client.get("/api/v1/instances?model=" + net::percent_encode(name)));
  return read_items<InstanceView>(answer);
}

Result<Seen> look(const ApiClient& client, const std::string& name) {
  Seen seen;
  BERTH_TRY(seen.answer, client.get(model_target(name)));
  BERTH_TRY(seen.model, read_answer<ModelView>(seen.answer));
  BERTH_TRY(seen.instances, instances_of(client, name));
  return seen;
}

std::string how_it_ended(const model::EngineExit& exit) {
  std::string text;
  if (exit.signal)
    text = fmt::format("its engine was ended by signal {}", *exit.signal);
  else if (exit.exit_code)
    text = fmt::format("its engine ended with exit code {}", *exit.exit_code);
  else
    text = "its engine ended";
  if (!exit.likely_cause.empty()) text += fmt::format(" ({})", exit.likely_cause);
  return text;
}

Error failure_of(const InstanceView& instance) {
  std::string text = fmt::format("{} failed: {}", instance.name, instance.reason);
  if (instance.last_exit) {
    const auto& lines = instance.last_exit->last_lines;
    text += fmt::format("\n  {}", how_it_ended(*instance.last_exit));
    const auto shown = std::min(lines.size(), kShownLines);
    if (shown != 0) text += ", after these lines:";
    for (auto i = lines.size() - shown; i < lines.size(); ++i) text += "\n    " + lines[i];
  }
  text += fmt::format("\n  See also: berth logs {}", instance.name);
  return make_error(ErrorCode::unavailable, "{}", text);
}

// The instance that says most about why the model is not ready yet.
const InstanceView* slowest(const Seen& seen) {
  const InstanceView* found = nullptr;
  for (const auto& instance : seen.instances) {
    if (instance.state == InstanceState::ready) continue;
    if (found == nullptr || found->state == InstanceState::stopping) found = &instance;
  }
  return found;
}

// Whether its reason changes all the time.
bool moves(const InstanceView& instance) {
  return instance.state == InstanceState::downloading && instance.progress.value_or(0) > 0;
}

std::string describe(const Seen& seen) {
  std::string text = seen.model.name;
  if (seen.model.replicas != 1) {
    text += fmt::format(": {} of {} ready", seen.model.ready, seen.model.replicas);
  }
  const auto* instance = slowest(seen);
  if (instance == nullptr) return text + ": waiting for its instances";
  text += fmt::format(": {}", enum_name(instance->state));
  if (instance->attempt > 1) text += fmt::format(" (attempt {})", instance->attempt);
  if (!instance->reason.empty() && !moves(*instance)) {
    text += fmt::format(": {}", instance->reason);
  }
  return text;
}

std::string detail_of(const Seen& seen, Duration waited) {
  const auto* instance = slowest(seen);
  if (instance != nullptr && moves(*instance)) {
    return fmt::format("({})", instance->reason);
  }
  if (instance != nullptr && instance->progress) {
    return fmt::format("({:.0f} %, {})", *instance->progress * 100, duration_text(waited));
  }
  return fmt::format("({})", duration_text(waited));
}

bool is_ready(const Seen& seen) {
  if (seen.model.rollout.state == model::RolloutState::progressing) return false;
  return seen.model.ready >= seen.model.replicas && seen.instances.size() == seen.model.replicas;
}

// Asks about one after the other until `is_done` says so of each. Fails with timeout.
Result<void> wait_for_each(const std::vector<std::string>& names, Duration timeout,
                           const std::function<Result<bool>(const std::string&)>& is_done) {
  Progress progress;
  const auto deadline = real_clock().steady_now() + timeout;
  for (const auto& name : names) {
    for (;;) {
      BERTH_TRY(const bool done, is_done(name));
      if (done) break;
      if (real_clock().steady_now() >= deadline) {
        return fail(ErrorCode::timeout,
                    "{} is still ending after {}; it goes on without this command, see berth ps",
                    name, duration_text(timeout));
      }
      progress.show(fmt::format("{}: its engines are ending", name));
      std::this_thread::sleep_for(kLook);
    }
  }
  return {};
}

}  // namespace

Result<Duration> parse_duration(const std::string& text, std::string_view flag) {
  auto duration = berth::parse_duration(text);
  if (duration) return *duration;
  auto error = std::move(duration).error();
  error.message = fmt::format("{} {}", flag, error.message);
  const auto dashes = std::min<std::size_t>(flag.size(), 2);
  return fail(std::move(error).with_field(std::string(flag.substr(dashes))));
}

Result<std::optional<Duration>> parse_timeout(const std::string& text) {
  BERTH_TRY(const Duration timeout, parse_duration(text, "--timeout"));
  return timeout == Duration(0) ? std::optional<Duration>() : std::optional<Duration>(timeout);
}

Result<json::value> wait_until_ready(const ApiClient& client, const std::string& name,
                                     std::optional<Duration> timeout) {
  Progress progress;
  const auto started = real_clock().steady_now();
  std::uint64_t rolling = 0;  // the revision that is on its way
  for (;;) {
    BERTH_TRY(auto seen, look(client, name));
    const auto& rollout = seen.model.rollout;
    if (rollout.state == model::RolloutState::progressing) rolling = rollout.generation;
    if (rollout.state == model::RolloutState::rolled_back && rollout.generation == rolling) {
      return fail(ErrorCode::unavailable, "{}", rollout.reason);
    }
    if (is_ready(seen)) return std::move(seen.answer);
    for (const auto& instance : seen.instances) {
      const bool current = instance.model_generation >= seen.model.generation;
      if (current && instance.state == InstanceState::failed) return fail(failure_of(instance));
    }
    const auto waited = std::chrono::duration_cast<Duration>(real_clock().steady_now() - started);
    if (timeout && waited >= *timeout) {
      return fail(ErrorCode::timeout,
                  "not ready after {} ({}); it goes on without this command, see berth ps",
                  duration_text(waited), describe(seen));
    }
    progress.show(describe(seen), detail_of(seen, waited));
    std::this_thread::sleep_for(kLook);
  }
}

Result<void> wait_until_gone(const ApiClient& client, const std::vector<std::string>& names,
                             Duration timeout) {
  return wait_for_each(names, timeout, [&](const std::string& name) -> Result<bool> {
    const auto answer = client.get(model_target(name));
    if (!answer && answer.error().code == ErrorCode::not_found) return true;
    if (!answer) return fail(answer.error());
    return false;
  });
}

Result<void> wait_until_stopped(const ApiClient& client, const std::vector<std::string>& names,
                                Duration timeout) {
  return wait_for_each(names, timeout, [&](const std::string& name) -> Result<bool> {
    BERTH_TRY(const auto instances, instances_of(client, name));
    return instances.empty();
  });
}

Result<void> wait_until_drained(const ApiClient& client, const std::string& worker,
                                std::optional<Duration> timeout) {
  Progress progress;
  const auto started = real_clock().steady_now();
  for (;;) {
    BERTH_TRY(const auto answer, client.get("/api/v1/workers"));
    BERTH_TRY(const auto workers, read_items<model::Worker>(answer));
    const auto found = std::ranges::find(workers, worker, &model::Worker::name);
    if (found == workers.end()) {
      return fail(ErrorCode::not_found, "the worker {} was removed meanwhile", worker);
    }
    if (found->scheduling == model::Scheduling::drained) return {};
    if (found->scheduling != model::Scheduling::draining) {
      return fail(ErrorCode::conflict, "somebody made {} {} meanwhile", worker,
                  enum_name(found->scheduling));
    }
    BERTH_TRY(const auto listed, client.get("/api/v1/instances"));
    BERTH_TRY(const auto instances, read_items<InstanceView>(listed));
    std::vector<std::string> left;
    for (const auto& instance : instances) {
      if (instance.worker == worker) left.push_back(instance.name);
    }
    const auto waited = std::chrono::duration_cast<Duration>(real_clock().steady_now() - started);
    const std::string what =
        fmt::format("{} still has {}", worker,
                    left.empty() ? "nothing" : fmt::format("{}", fmt::join(left, ", ")));
    if (timeout && waited >= *timeout) {
      return fail(ErrorCode::timeout, "{} after {}; it goes on without this command", what,
                  duration_text(waited));
    }
    progress.show(what, fmt::format("({})", duration_text(waited)));
    std::this_thread::sleep_for(kLook);
  }
}

void print_warnings(const ApiClient& client, const ModelView& model) {
  std::set<std::string> warnings(model.warnings.begin(), model.warnings.end());
  if (const auto instances = instances_of(client, model.name)) {
    for (const auto& instance : *instances) {
      warnings.insert(instance.warnings.begin(), instance.warnings.end());
    }
  }
  for (const auto& warning : warnings) {
    fmt::print(stderr, "berth: warning: {}\n", printable(warning));
  }
}

}  // namespace berth::app
