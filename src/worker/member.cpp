#include "worker/member.h"

#include "base/files.h"
#include "engines/runtime.h"
#include "net/client.h"
#include "worker/likely_cause.h"

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <sys/stat.h>

#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <spdlog/spdlog.h>
#include <unistd.h>

namespace berth::worker {
namespace {

using model::InstanceState;
using process::ShimPhase;

constexpr std::chrono::milliseconds kFirstBackoff{500};
constexpr std::chrono::seconds kLongestBackoff{60};
constexpr std::chrono::minutes kHealthyWhile{2};  // after it, failures count from 0 again
constexpr std::chrono::milliseconds kProbePause{150};
constexpr std::chrono::seconds kIdlePause{15};
constexpr std::chrono::seconds kShimPatience{10};
constexpr std::chrono::seconds kEndPatience{5};  // beyond the engine's own grace
constexpr std::size_t kLastLines = 20;
constexpr net::ClientDeadlines kProbeDeadlines{.connect = std::chrono::seconds(1),
                                               .head = std::chrono::seconds(2),
                                               .idle = std::chrono::seconds(2)};

std::vector<std::string> to_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    if (!line.empty()) lines.push_back(std::move(line));
  }
  return lines;
}

// The file is there as the server saw it.
Result<void> check_files(const model::ModelProfile& profile) {
  for (const auto& file : profile.files) {
    std::error_code error;
    const auto size = std::filesystem::file_size(file.path, error);
    if (error) {
      return fail(ErrorCode::not_found, "the model's file {} is not there on this worker: {}",
                  file.path, error.message());
    }
    if (size != file.size.count) {
      return fail(
          ErrorCode::conflict,
          "the model's file {} has {} bytes on this worker, but had {} when it was deployed",
          file.path, size, file.size.count);
    }
  }
  return {};
}

Result<void> write_files(const model::LaunchPlan& plan) {
  for (const auto& file : plan.files) {
    BERTH_CHECK(write_file_atomic(file.path, file.content, static_cast<mode_t>(file.mode)));
  }
  return {};
}

// Whether another try can not help.
bool is_permanent(const Error& error) {
  return error.code == ErrorCode::invalid_parameter || error.code == ErrorCode::unsupported;
}

}  // namespace

// The end of a shim as an event: its pidfd becomes readable.
struct Member::ShimWatch {
  using Descriptor = boost::asio::posix::basic_stream_descriptor<net::Executor>;
  Descriptor descriptor;
  std::shared_ptr<bool> ended = std::make_shared<bool>(false);

  ShimWatch(net::Executor executor, int fd) : descriptor(executor, fd) {}
};

Member::Member(const MemberContext& context, model::Assignment assignment, net::Executor executor)
    : context_(context),
      assignment_(std::move(assignment)),
      folder_(context.data, assignment_.instance, assignment_.generation, assignment_.member),
      note_{.instance = assignment_.instance,
            .generation = assignment_.generation,
            .member = assignment_.member},
      wake_up_(std::make_shared<net::WakeUp>(executor)),
      reason_("taken up") {}

Member::~Member() = default;

void Member::stop(std::string worker_ends) {
  if (stopping_) return;
  cancel_install_.request_stop();
  if (worker_ends.empty()) {
    enter(InstanceState::stopping, "its engine is ending");
  } else {
    enter(InstanceState::restarting, std::move(worker_ends));
  }
  stopping_ = true;
  wake_up_->wake();
}

void Member::detach() {
  detached_ = true;
  cancel_install_.request_stop();
  wake_up_->wake();
}

void Member::enter(InstanceState state, std::string reason) {
  if (stopping_ && state != InstanceState::stopping) return;
  state_ = state;
  reason_ = std::move(reason);
  context_.on_change();
}

cluster::InstanceReport Member::report() const {
  cluster::InstanceReport report{.instance = assignment_.instance,
                                 .generation = assignment_.generation,
                                 .member = assignment_.member,
                                 .state = state_,
                                 .reason = reason_,
                                 .progress = std::nullopt,
                                 .port = engine_ ? note_.port : std::uint16_t{0},
                                 .pid = engine_,
                                 .attempt = note_.attempt,
                                 .failures = note_.failures,
                                 .last_exit = last_exit_,
                                 .resident = engine_ ? resident_ : std::nullopt,
                                 .warnings = {}};
  if (state_ == InstanceState::installing) {
    for (const auto& status : context_.packs.list()) {
      if (status.pack.name != assignment_.placement.pack) continue;
      report.progress = status.progress;
      if (!status.step.empty()) report.reason = "engine pack: " + status.step;
    }
  }
  return report;
}

net::Task<> Member::run() {
  co_await adopt();
  while (!is_leaving()) {
    if (!shim_) {
      auto started = co_await start_attempt();
      if (!started) {
        if (is_leaving()) break;
        note_failure(started.error().to_string(), is_permanent(started.error()));
        co_await pause_or_give_up();
        continue;
      }
    }
    co_await supervise();
    if (is_leaving()) break;
    co_await take_exit();
    co_await pause_or_give_up();
  }
  if (detached_ && !stopping_) co_return;
  co_await end_engine();
  if (note_.port != 0) context_.ports.release(note_.port);
  folder_.remove();
}

// Finds the engine of an earlier agent again.
net::Task<> Member::adopt() {
  const auto found = co_await net::offload(context_.pool, [this]() -> Result<process::ShimState> {
    BERTH_TRY(note_, folder_.read_note());
    return process::read_shim_state(folder_.shim_state());
  });
  if (!found) co_return;  // it never ran here
  auto handle = process::adopt(*found);
  if (!handle) co_return;  // it ended meanwhile; the next attempt follows
  if (auto held = context_.ports.hold(note_.port); !held) {
    spdlog::warn("{}: port {} is leased twice", note_.instance, note_.port);
  }
  shim_ = std::move(*handle);
  engine_ = found->engine_pid;
  watch_shim();
  spdlog::info("{}: its engine (pid {}) was found running", note_.instance, found->engine_pid);
  enter(InstanceState::starting, "found running; waits for its first answer");
}

net::Task<Result<void>> Member::start_attempt() {
  const std::string pack_name = assignment_.placement.pack;
  enter(InstanceState::installing, fmt::format("prepares the engine pack {}", pack_name));
  auto install = [this, pack_name, token = cancel_install_.get_token()] {
    return context_.packs.ensure(pack_name, token);
  };
  auto pack = co_await net::offload(context_.install_pool, std::move(install));
  if (!pack) co_return fail(std::move(pack).error());
  if (is_leaving()) co_return fail(ErrorCode::cancelled, "stopped before its engine started");
  if (note_.port != 0) context_.ports.release(note_.port);
  BERTH_CO_TRY(note_.port, context_.ports.lease());
  ++note_.attempt;
  note_.pack = pack->pack.name;
  enter(InstanceState::starting, fmt::format("attempt {} starts", note_.attempt));
  auto attempt = co_await net::offload(
      context_.pool, [this, status = std::move(*pack)] { return launch(status); });
  if (!attempt) co_return fail(std::move(attempt).error());
  readiness_deadline_ = attempt->plan.readiness_deadline;
  stop_grace_ = attempt->plan.stop_grace;
  shim_ = std::move(attempt->shim);
  engine_ = attempt->state.engine_pid;
  watch_shim();
  enter(InstanceState::starting, fmt::format("attempt {} loads the model", note_.attempt));
  co_return Result<void>{};
}

// Blocks: files, and the start of a process.
Result<Member::Attempt> Member::launch(const model::PackStatus& status) {
  BERTH_CHECK(check_files(assignment_.profile));
  const auto* backend = context_.backends.find(assignment_.backend);
  if (backend == nullptr) {
    return fail(ErrorCode::unsupported, "this worker has no backend named {}", assignment_.backend);
  }
  BERTH_CHECK(folder_.create());
  const model::Worker facts = context_.facts();
  const backends::LaunchContext launch{.deployment = assignment_.deployment,
                                       .profile = assignment_.profile,
                                       .placement = assignment_.placement,
                                       .serving = assignment_.serving,
                                       .pack = status.pack,
                                       .pack_folder = status.folder,
                                       .pack_python = engines::pack_python(status.folder).string(),
                                       .worker = facts,
                                       .instance = assignment_.instance,
                                       .generation = assignment_.generation,
                                       .member = assignment_.member,
                                       .folder = folder_.path().string(),
                                       .engine_key = assignment_.engine_key,
                                       .ports = {note_.port}};
  BERTH_TRY(model::LaunchPlan plan, backend->launch(launch));
  BERTH_CHECK(write_files(plan));
  note_.probe = plan.probe;
  BERTH_CHECK(folder_.write_note(note_));
  folder_.forget_old_logs(note_.attempt);
  const auto log = folder_.log(note_.attempt);
  BERTH_CHECK(
      write_file_atomic(log, log_head(note_, plan, to_rfc3339(context_.clock.system_now())), 0600));
  process::ShimLaunch start;
  start.program = context_.shim_program;
  start.spec_path = folder_.shim_spec();
  start.spec = {.cluster = context_.cluster_tag,
                .instance = assignment_.instance,
                .generation = assignment_.generation,
                .attempt = note_.attempt,
                .argv = plan.argv,
                .environment = {},
                .working_directory = plan.working_directory,
                .state_path = folder_.shim_state().string(),
                .log_path = log.string(),
                .stop_signal = plan.stop_signal,
                .stop_grace_milliseconds = static_cast<std::uint64_t>(plan.stop_grace.count())};
  for (const auto& variable : plan.env) {
    start.spec.environment.emplace_back(variable.name, variable.value);
  }
  BERTH_TRY(auto shim, process::start_shim(start));
  const auto state =
      process::wait_for_phase(folder_.shim_state(), ShimPhase::running, kShimPatience);
  if (!state) {
    BERTH_CHECK(process::kill_shim(shim));
    return fail(state.error());
  }
  return Attempt{.plan = std::move(plan), .shim = std::move(shim), .state = *state};
}

void Member::watch_shim() {
  const int fd = ::dup(shim_->pidfd.fd());
  const net::Executor executor = wake_up_->executor();
  shim_watch_ = std::make_unique<ShimWatch>(executor, fd);
  shim_watch_->descriptor.async_wait(
      ShimWatch::Descriptor::wait_read,
      [ended = shim_watch_->ended, wake_up = wake_up_](boost::system::error_code error) {
        if (error) return;  // no longer watched
        *ended = true;
        wake_up->wake();
      });
}

// From the engine's start to its end.
net::Task<> Member::supervise() {
  const SteadyTime started = context_.clock.steady_now();
  SteadyTime ready_since = started;
  while (!is_leaving() && !*shim_watch_->ended) {
    const SteadyTime now = context_.clock.steady_now();
    if (state_ != InstanceState::ready) {
      const bool healthy = co_await is_healthy();
      if (is_leaving() || *shim_watch_->ended) co_return;
      if (healthy) {
        ready_since = now;
        enter(InstanceState::ready, "");
        continue;
      }
      if (now - started > readiness_deadline_) {
        spdlog::warn("{}: not ready in time; it is ended", note_.instance);
        reason_ = fmt::format("it was not ready after {} s", readiness_deadline_.count() / 1000);
        co_await end_engine();
        co_return;
      }
      co_await wake_up_->wait(kProbePause);
      continue;
    }
    if (note_.failures > 0 && now - ready_since > kHealthyWhile) {
      note_.failures = 0;
      context_.on_change();
    }
    co_await wake_up_->wait(kIdlePause);
  }
}

net::Task<bool> Member::is_healthy() {
  net::ClientRequest request;
  request.target = note_.probe.path;
  auto& client = net::Client::of(wake_up_->executor().context());
  const net::Endpoint engine{"127.0.0.1", note_.probe.port};
  auto answer = co_await client.fetch(engine, std::move(request), kProbeDeadlines, 64_KiB);
  co_return answer && answer->status == note_.probe.expected_status;
}

// Ends the shim and all below it, however it behaves; does nothing where none runs.
net::Task<> Member::end_engine() {
  if (!shim_) co_return;
  auto ended = shim_watch_->ended;
  auto asked = process::request_stop(*shim_);
  if (!asked) spdlog::warn("{}: {}", note_.instance, asked.error().to_string());
  const SteadyTime polite = context_.clock.steady_now() + stop_grace_ + kEndPatience;
  while (!*ended && context_.clock.steady_now() < polite) co_await wake_up_->wait(kProbePause);
  if (!*ended) {
    spdlog::warn("{}: its shim does not end; it is killed", note_.instance);
    if (auto killed = process::kill_shim(*shim_); !killed) {
      spdlog::error("{}: {}", note_.instance, killed.error().to_string());
    }
    const SteadyTime last = context_.clock.steady_now() + kEndPatience;
    while (!*ended && context_.clock.steady_now() < last) co_await wake_up_->wait(kProbePause);
  }
  if (stopping_) {
    process::reap(*shim_);
    shim_watch_.reset();
    shim_.reset();
    engine_.reset();
  }
}

// Notes how the engine ended.
net::Task<> Member::take_exit() {
  process::reap(*shim_);
  shim_watch_.reset();
  shim_.reset();
  engine_.reset();
  resident_.reset();
  const bool too_slow = reason_.starts_with("it was not ready");
  auto exit = co_await net::offload(context_.pool, [this] {
    model::EngineExit result;
    const auto state = process::read_shim_state(folder_.shim_state());
    result.last_lines = to_lines(read_last_lines(folder_.log(note_.attempt), kLastLines));
    if (state) {
      result.exit_code = state->exit_code;
      result.signal = state->signal;
      if (!state->error.empty()) result.last_lines.push_back(state->error);
    }
    return result;
  });
  if (!exit) co_return;
  exit->at = to_rfc3339(context_.clock.system_now());
  exit->likely_cause = likely_cause(*exit);
  last_exit_ = std::move(*exit);
  const auto policy = assignment_.deployment.restart.policy;
  const bool went_well = last_exit_->exit_code == 0;
  const bool stays_down = policy == model::RestartPolicy::never ||
                          (policy == model::RestartPolicy::on_failure && went_well);
  std::string reason = describe_exit(*last_exit_);
  if (too_slow) reason = reason_ + "; " + reason;
  spdlog::warn("{}: {}", note_.instance, reason);
  note_failure(std::move(reason), stays_down);
}

void Member::note_failure(std::string reason, bool permanent) {
  ++note_.failures;
  given_up_ = permanent || note_.failures > assignment_.deployment.restart.max_failures;
  if (given_up_) {
    enter(InstanceState::failed, std::move(reason));
  } else {
    enter(InstanceState::restarting, std::move(reason));
  }
}

net::Task<> Member::pause_or_give_up() {
  Duration pause = kFirstBackoff;
  for (std::uint32_t i = 1; i < note_.failures && pause < kLongestBackoff; ++i) pause *= 2;
  pause = std::min<Duration>(pause, kLongestBackoff);
  const SteadyTime until = context_.clock.steady_now() + pause;
  while (!is_leaving() && (given_up_ || context_.clock.steady_now() < until)) {
    co_await wake_up_->wait(given_up_ ? Duration(kIdlePause) : pause);
  }
}

}  // namespace berth::worker
