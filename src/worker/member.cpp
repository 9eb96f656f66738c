#include "worker/member.h"

#include "net/client.h"
#include "net/thread_pool.h"
#include "worker/engine_group.h"
#include "worker/engine_questions.h"
#include "worker/hang_watch.h"
#include "worker/likely_cause.h"

#include <algorithm>
#include <csignal>

#include <spdlog/spdlog.h>
#include <unistd.h>

namespace berth::worker {
namespace {

using model::InstanceState;

constexpr std::chrono::milliseconds kFirstBackoff{500};
constexpr std::chrono::seconds kLongestBackoff{60};
constexpr std::chrono::minutes kHealthyWhile{2};  // after it, failures count from 0 again
constexpr std::chrono::milliseconds kProbePause{150};
constexpr std::chrono::seconds kIdlePause{15};
constexpr std::chrono::milliseconds kEndPatience{1500};  // beyond the engine's own grace
constexpr std::chrono::seconds kKillPatience{5};
// The gateway chooses from a snapshot: requests still come for a moment after a drain began.
constexpr std::chrono::seconds kLastArrivals{1};
constexpr std::chrono::seconds kLongestDrain{30};
constexpr std::chrono::seconds kLoadPatience{5};
constexpr std::chrono::seconds kDevicePatience{10};  // for a driver that gives memory back
constexpr std::chrono::milliseconds kDevicePause{300};

// Whether another try can not help.
bool is_permanent(const Error& error) {
  return error.code == ErrorCode::invalid_parameter || error.code == ErrorCode::unsupported;
}

Error disturbed() { return make_error(ErrorCode::cancelled, "something else came first"); }

}  // namespace

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

void Member::set_use(EngineUse use) {
  if (use.seen && engine_) held_.see(use.processes, *use.seen);
  use_ = std::move(use);
}

void Member::stop(std::string worker_ends) {
  if (!worker_ends.empty()) worker_ends_ = true;
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

void Member::drain() {
  if (stopping_ || draining_) return;
  if (settled_ && !shim_) return stop();
  enter(InstanceState::stopping, "it answers its last requests");
  draining_ = true;
  wake_up_->wake();
}

void Member::detach() {
  detached_ = true;
  cancel_install_.request_stop();
  wake_up_->wake();
}

void Member::enter(InstanceState state, std::string reason) {
  if ((stopping_ || draining_) && state != InstanceState::stopping) return;
  state_ = state;
  reason_ = std::move(reason);
  context_.on_change();
}

bool Member::has_ended() const { return shim_watch_ && shim_watch_->ended(); }

cluster::InstanceReport Member::report() const {
  cluster::InstanceReport report{.instance = assignment_.instance,
                                 .generation = assignment_.generation,
                                 .member = assignment_.member,
                                 .state = state_,
                                 .reason = reason_,
                                 .progress = std::nullopt,
                                 .port = port(),
                                 .pid = engine_,
                                 .attempt = note_.attempt,
                                 .failures = note_.failures,
                                 .last_exit = last_exit_,
                                 .resident = std::nullopt,
                                 .device_memory = {},
                                 .warnings = {}};
  if (engine_ && use_) {
    report.resident = use_->resident;
    report.device_memory = use_->device_memory;
  }
  if (state_ == InstanceState::installing) {
    for (const auto& status : context_.packs.list()) {
      if (status.pack.name != assignment_.placement.pack) continue;
      report.progress = status.progress;
      if (!status.step.empty()) report.reason = "engine pack: " + status.step;
    }
  }
  if (state_ == InstanceState::downloading && files_) {
    const auto status = files_->status();
    report.reason = model::describe(status);
    if (status.total.count > 0) {
      report.progress =
          static_cast<double>(status.done.count) / static_cast<double>(status.total.count);
    }
  }
  return report;
}

net::Task<> Member::run() {
  co_await adopt();
  settled_ = true;
  context_.on_change();
  while (!is_leaving()) {
    if (!shim_) {
      if (draining_) stop();  // nothing is under way where nothing runs
      if (is_leaving()) break;
      auto started = co_await start_engine();
      if (!started) {
        if (is_leaving()) break;
        note_failure(started.error().to_string(), is_permanent(started.error()));
        co_await pause_or_give_up();
        continue;
      }
    }
    co_await supervise();
    if (draining_) stop();
    if (is_leaving()) break;
    co_await take_exit();
    co_await wait_for_devices();
    co_await pause_or_give_up();
  }
  if (detached_ && !stopping_) co_return;
  co_await end_engine(false);
  if (shim_) {
    co_await take_exit();
    co_await wait_for_devices();
  }
  release_port();
  folder_.remove();
}

// Finds the engine of an earlier agent again; anything else of the instance is ended.
net::Task<> Member::adopt() {
  struct Found {
    MemberNote note;
    process::ShimState state;
    process::ShimHandle shim;
  };
  auto found = co_await net::offload(context_.pool, [this]() -> Result<Found> {
    auto look = [this]() -> Result<Found> {
      BERTH_TRY(auto note, folder_.read_note());
      BERTH_TRY(auto state, process::read_shim_state(folder_.shim_state()));
      BERTH_TRY(auto shim, process::adopt(state));
      return Found{std::move(note), std::move(state), std::move(shim)};
    };
    auto result = look();
    if (result) return result;
    end_unknown(context_, assignment_);
    if (auto note = folder_.read_note()) return Found{.note = *std::move(note)};
    return result;
  });
  if (!found) co_return;  // it never ran here
  note_ = std::move(found->note);
  if (found->shim.identity.pid == 0) co_return;  // it ended meanwhile; the next attempt follows
  if (auto held = context_.ports.hold(note_.port); held) {
    holds_port_ = true;
  } else {
    spdlog::warn("{}: port {} is leased twice", note_.instance, note_.port);
  }
  own(std::move(found->shim), found->state.engine_pid);
  held_ = HeldMemory(claims_of(assignment_), {});
  want_files();
  spdlog::info("{}: its engine (pid {}) was found running", note_.instance,
               found->state.engine_pid);
  const bool healthy = co_await is_healthy(&Member::is_over);
  if (healthy) {
    enter(InstanceState::ready, "");
  } else {
    enter(InstanceState::starting, "found running; waits for its first answer");
  }
}

// The pack, installed if need be. An installation that is cancelled may take its time to end: what
// is left of it then goes on without this member.
net::Task<Result<model::PackStatus>> Member::ensure_pack() {
  const std::string name = assignment_.placement.pack;
  if (auto installed = context_.packs.installed(name)) co_return *std::move(installed);
  enter(InstanceState::installing, fmt::format("prepares the engine pack {}", name));
  using Outcome = std::optional<Result<model::PackStatus>>;
  const auto outcome = std::make_shared<Outcome>();
  auto install = [&packs = context_.packs, name, token = cancel_install_.get_token()] {
    return packs.ensure(name, token);
  };
  boost::asio::co_spawn(
      wake_up_->executor(), net::offload(context_.install_pool, std::move(install)),
      [outcome, wake_up = wake_up_](std::exception_ptr thrown, Result<model::PackStatus> result) {
        *outcome =
            thrown ? fail(ErrorCode::internal, "the installation broke off") : std::move(result);
        wake_up->wake();
      });
  while (!*outcome && !is_leaving()) co_await wake_up_->wait(kIdlePause);
  if (!*outcome) co_return fail(ErrorCode::cancelled, "stopped while its pack was installed");
  co_return std::move(**outcome);
}

// They stay this member's for as long as it lives, so that nobody removes them.
void Member::want_files() {
  if (!assignment_.files) return;
  auto on_end = [wake_up = wake_up_] { wake_up->wake_from_anywhere(); };
  files_ = context_.files.want(*assignment_.files, std::move(on_end));
}

// The assignment with the files where they are on this machine.
net::Task<Result<model::Assignment>> Member::ensure_files() {
  if (!files_) co_return assignment_;
  auto outcome = files_->outcome();
  if (!outcome) enter(InstanceState::downloading, "looks for its files");
  while (!outcome && !is_leaving()) {
    co_await wake_up_->wait(kIdlePause);
    outcome = files_->outcome();
  }
  if (!outcome) co_return fail(ErrorCode::cancelled, "stopped while its files were fetched");
  if (!*outcome) co_return fail(std::move(*outcome).error());
  const sources::LocalFiles local = **std::move(outcome);
  model::Assignment ready = assignment_;
  ready.profile = model::renamed(std::move(ready.profile), [&](const std::string& path) {
    const auto found = local.paths.find(path);
    return found == local.paths.end() ? path : found->second.string();
  });
  if (!local.folder.empty()) ready.deployment.source = local.folder.string();
  co_return ready;
}

net::Task<Result<void>> Member::start_engine() {
  want_files();  // which come while the pack does
  auto pack = co_await ensure_pack();
  if (!pack) co_return fail(std::move(pack).error());
  auto ready = co_await ensure_files();
  if (!ready) co_return fail(std::move(ready).error());
  if (is_leaving()) co_return fail(ErrorCode::cancelled, "stopped before its engine started");
  BERTH_CO_CHECK(lease_port());
  ++note_.attempt;
  note_.pack = pack->pack.name;
  enter(InstanceState::starting, fmt::format("attempt {} starts", note_.attempt));
  held_ = HeldMemory(claims_of(assignment_), context_.devices->look_again().sample);
  auto start = [this, note = note_, status = *std::move(pack), assignment = *std::move(ready),
                worker = context_.facts()] {
    return start_attempt(context_, assignment, folder_, note, status, worker);
  };
  auto attempt = co_await net::offload(context_.pool, std::move(start));
  if (!attempt) co_return fail(std::move(attempt).error());
  note_ = std::move(attempt->note);
  own(std::move(attempt->shim), attempt->state.engine_pid);
  enter(InstanceState::starting, fmt::format("attempt {} loads the model", note_.attempt));
  co_return Result<void>{};
}

// Another one for each attempt: a program that took it before the engine could may keep it.
Result<void> Member::lease_port() {
  release_port();
  BERTH_TRY(note_.port, context_.ports.lease());
  holds_port_ = true;
  return {};
}

void Member::release_port() {
  if (holds_port_) context_.ports.release(note_.port);
  holds_port_ = false;
}

void Member::own(process::ShimHandle shim, pid_t engine) {
  shim_ = std::move(shim);
  if (engine != 0) engine_ = engine;
  ended_because_.clear();
  ended_cause_.clear();
  shim_watch_ = std::make_unique<ShimWatch>(*shim_, wake_up_);
}

void Member::disown() {
  process::reap(*shim_);
  shim_watch_.reset();
  shim_.reset();
  engine_.reset();
  use_.reset();
}

net::Task<> Member::until(Condition condition) {
  while (!(this->*condition)()) co_await wake_up_->wait(std::chrono::hours(1));
}

// From the engine's start to its end.
net::Task<> Member::supervise() {
  const bool serves = co_await become_ready();
  if (serves) co_await watch_over();
  if (draining_ && !is_over()) co_await drain_engine();
}

net::Task<bool> Member::become_ready() {
  const SteadyTime started = context_.clock.steady_now();
  while (!is_disturbed()) {
    if (state_ == InstanceState::ready) co_return true;
    const bool healthy = co_await is_healthy(&Member::is_disturbed);
    if (is_disturbed()) break;
    if (healthy) {
      enter(InstanceState::ready, "");
      co_return true;
    }
    if (context_.clock.steady_now() - started > note_.readiness_deadline) {
      co_await give_up_engine(
          fmt::format("it was not ready after {} s", note_.readiness_deadline.count() / 1000),
          "it never became ready");
      break;
    }
    co_await wake_up_->wait(kProbePause);
  }
  co_return false;
}

net::Task<> Member::watch_over() {
  const SteadyTime ready_since = context_.clock.steady_now();
  HangWatch watch(wake_up_->executor(), context_.clock, context_.pool,
                  {.probe = note_.liveness, .key = assignment_.engine_key, .process = engine_});
  while (!is_disturbed()) {
    co_await wake_up_->wait(watch.every());
    if (is_disturbed()) break;
    if (note_.failures > 0 && context_.clock.steady_now() - ready_since > kHealthyWhile) {
      note_.failures = 0;
      context_.on_change();
    }
    auto look = watch.look();
    auto hangs = co_await net::unless(std::move(look), until(&Member::is_disturbed), disturbed());
    if (is_disturbed()) break;
    if (hangs && !hangs->empty()) co_await give_up_engine(*std::move(hangs), "it hung");
  }
}

// Ends an engine that is of no use, at once; take_exit tells of it.
net::Task<> Member::give_up_engine(std::string reason, std::string cause) {
  spdlog::warn("{}: {}; it is ended", note_.instance, reason);
  enter(InstanceState::restarting, reason);
  co_await end_engine(true);
  ended_because_ = std::move(reason);
  ended_cause_ = std::move(cause);
}

net::Task<> Member::drain_engine() {
  const SteadyTime began = context_.clock.steady_now();
  while (!is_over() && context_.clock.steady_now() - began < kLongestDrain) {
    co_await wake_up_->wait(kProbePause);
    const bool may_be_idle = context_.clock.steady_now() - began >= kLastArrivals;
    if (is_over() || !may_be_idle || note_.liveness.load.empty()) continue;
    const bool idle = co_await is_idle();
    if (idle) break;
  }
}

net::Task<bool> Member::is_healthy(Condition unless) {
  auto question = ask_health(wake_up_->executor(), note_.probe);
  const auto healthy = co_await net::unless(std::move(question), until(unless), disturbed());
  co_return healthy && *healthy;
}

// Whether no request is under way, as far as the engine tells.
net::Task<bool> Member::is_idle() {
  auto question =
      ask_liveness(wake_up_->executor(), note_.liveness, assignment_.engine_key, kLoadPatience);
  const auto answer =
      co_await net::unless(std::move(question), until(&Member::is_over), disturbed());
  if (!answer) co_return answer.error().code == ErrorCode::unavailable;  // it listens to nobody
  if (answer->status == 503) co_return true;  // it loads, and has answered nobody yet
  const auto load = sum_of_figures(answer->body, note_.liveness.load);
  co_return answer->status == 200 && load && *load == 0;
}

// Ends the shim and all below it, however it behaves; does nothing where none runs.
net::Task<> Member::end_engine(bool at_once) {
  if (!shim_) co_return;
  auto asked = at_once ? process::request_kill(*shim_) : process::request_stop(*shim_);
  if (!asked) spdlog::warn("{}: {}", note_.instance, asked.error().to_string());
  const Duration grace = at_once ? Duration(0) : note_.stop_grace;
  const SteadyTime polite = context_.clock.steady_now() + grace + kEndPatience;
  while (!has_ended() && context_.clock.steady_now() < polite) {
    co_await wake_up_->wait(kProbePause);
  }
  if (has_ended()) co_return;
  spdlog::warn("{}: its shim does not end; it is killed", note_.instance);
  if (auto killed = process::kill_shim(*shim_); !killed) {
    spdlog::error("{}: {}", note_.instance, killed.error().to_string());
  }
  const SteadyTime last = context_.clock.steady_now() + kKillPatience;
  while (!has_ended() && context_.clock.steady_now() < last) co_await wake_up_->wait(kProbePause);
}

// Notes how the engine ended.
net::Task<> Member::take_exit() {
  disown();
  auto exit = co_await net::offload(
      context_.pool, [this, note = note_] { return read_exit(context_, folder_, note); });
  if (!exit || is_leaving()) co_return;
  if (!ended_cause_.empty()) exit->likely_cause = ended_cause_;
  last_exit_ = *std::move(exit);
  const auto policy = assignment_.deployment.restart.policy;
  const bool went_well = last_exit_->exit_code == 0 && ended_because_.empty();
  const bool stays_down = policy == model::RestartPolicy::never ||
                          (policy == model::RestartPolicy::on_failure && went_well);
  std::string reason = describe_exit(*last_exit_);
  if (!ended_because_.empty()) reason = ended_because_ + "; " + reason;
  spdlog::warn("{}: {}", note_.instance, reason);
  note_failure(std::move(reason), stays_down);
}

// Until what the engine had of devices is free, so that neither the next attempt nor whoever is
// placed there finds too little. A worker that ends leaves that to the next one.
net::Task<> Member::wait_for_devices() {
  if (held_.is_empty()) co_return;
  const SteadyTime ended = context_.clock.steady_now();
  while (!detached_ && !worker_ends_) {
    const auto look = co_await net::offload(
        context_.pool, [devices = context_.devices] { return devices->look_again(); });
    if (!look || (look->began >= ended && held_.is_free(look->sample))) break;
    if (context_.clock.steady_now() - ended > kDevicePatience) {
      spdlog::warn("{}: the memory that its engine had on devices is not free after {} s",
                   note_.instance, kDevicePatience.count());
      break;
    }
    co_await wake_up_->wait(kDevicePause);
  }
  held_ = {};
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
  if (draining_) co_return;
  Duration pause = kFirstBackoff;
  for (std::uint32_t i = 1; i < note_.failures && pause < kLongestBackoff; ++i) pause *= 2;
  pause = std::min<Duration>(pause, kLongestBackoff);
  const SteadyTime until = context_.clock.steady_now() + pause;
  while (!is_leaving() && (given_up_ || context_.clock.steady_now() < until)) {
    co_await wake_up_->wait(given_up_ ? Duration(kIdlePause) : pause);
  }
}

}  // namespace berth::worker
