#include "worker/member.h"

#include "model/restarts.h"
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

constexpr std::chrono::milliseconds kProbePause{150};
constexpr std::chrono::seconds kIdlePause{15};
constexpr std::chrono::milliseconds kEndPatience{1500};  // beyond the engine's own grace
constexpr std::chrono::seconds kKillPatience{5};
// The gateway chooses from a snapshot: requests still come for a moment after a drain began.
constexpr std::chrono::seconds kLastArrivals{1};
constexpr std::chrono::seconds kLongestDrain{30};
constexpr std::chrono::seconds kLoadPatience{5};
constexpr std::string_view kOtherEnded = "another member of its gang has ended";
constexpr std::chrono::seconds kDevicePatience{10};  // for a driver that gives memory back
constexpr std::chrono::milliseconds kDevicePause{300};

// Whether another try can not help.
bool is_permanent(const Error& error) {
  return error.code == ErrorCode::invalid_parameter || error.code == ErrorCode::unsupported;
}

// Whether all of a gang have their ports, and those that this member comes after are ready.
bool may_start(const model::Gang& gang, std::uint32_t member) {
  const auto& after = gang.members.at(member).after;
  return std::ranges::all_of(gang.members, [&](const model::GangMember& one) {
    const bool has_ports = one.attempt == gang.attempt && !one.ports.empty();
    const bool comes_first = std::ranges::find(after, one.role) != after.end();
    return has_ports && (one.ready || !comes_first);
  });
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
      ports_(context.ports),
      preparation_(context, assignment_, wake_up_,
                   {.enter = [this](InstanceState state,
                                    std::string reason) { enter(state, std::move(reason)); },
                    .is_unwanted = [this] { return is_leaving() || is_halted(); }}),
      reason_("taken up") {}

Member::~Member() = default;

void Member::set_use(EngineUse use) {
  if (use.seen && engine_) held_.see(use.processes, *use.seen);
  use_ = std::move(use);
}

void Member::stop(std::string worker_ends) {
  if (!worker_ends.empty()) worker_ends_ = true;
  if (stopping_) return;
  preparation_.cancel();
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

void Member::update(const model::Assignment& assignment) {
  if (assignment.gang == assignment_.gang) return;
  assignment_.gang = assignment.gang;
  wake_up_->wake();
}

void Member::detach() {
  detached_ = true;
  preparation_.cancel();
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
  cluster::InstanceReport report{
      .instance = assignment_.instance,
      .generation = assignment_.generation,
      .member = assignment_.member,
      .state = state_,
      .reason = reason_,
      .progress = std::nullopt,
      .port = port(),
      .ports = assignment_.gang ? ports_.all() : std::vector<std::uint16_t>{},
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
  preparation_.describe(report);
  return report;
}

net::Task<> Member::run() {
  co_await adopt();
  settled_ = true;
  context_.on_change();
  while (!is_leaving()) {
    if (!shim_) {
      if (draining_) stop();  // nothing is under way where nothing runs
      co_await wait_for_attempt();
      if (is_leaving()) break;
      auto started = co_await start_engine();
      if (!started) {
        if (is_leaving()) break;
        if (is_halted()) {
          co_await halt();
          continue;
        }
        note_failure(started.error().to_string(), is_permanent(started.error()));
        co_await pause_or_give_up();
        continue;
      }
    }
    co_await supervise();
    if (draining_) stop();
    if (is_leaving()) break;
    if (is_halted() && !has_ended()) {
      co_await halt();
      continue;
    }
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
  ports_.release();
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
  if (found->shim.identity.pid == 0) {  // it ended meanwhile; the next attempt follows
    if (assignment_.gang) note_failure("its engine ended while its worker was away", false);
    co_return;
  }
  if (!ports_.hold(note_.ports())) {
    spdlog::warn("{}: a port of {} is leased twice", note_.instance,
                 fmt::join(note_.ports(), ", "));
  }
  own(std::move(found->shim), found->state.engine_pid);
  held_ = HeldMemory(claims_of(assignment_), {});
  preparation_.want_files();
  spdlog::info("{}: its engine (pid {}) was found running", note_.instance,
               found->state.engine_pid);
  const bool healthy = co_await is_healthy(&Member::is_over);
  if (healthy) {
    enter(InstanceState::ready, "");
  } else {
    enter(InstanceState::starting, "found running; waits for its first answer");
  }
}

net::Task<Result<void>> Member::start_engine() {
  if (assignment_.gang) note_.attempt = assignment_.gang->attempt;
  preparation_.want_files();  // which come while the pack does
  auto pack = co_await preparation_.ensure_pack();
  if (!pack) co_return fail(std::move(pack).error());
  auto ready = co_await preparation_.ensure_files(assignment_);
  if (!ready) co_return fail(std::move(ready).error());
  if (is_leaving() || is_halted()) {
    co_return fail(ErrorCode::cancelled, "stopped before its engine started");
  }
  BERTH_CO_CHECK(lease_ports());
  auto complete = co_await wait_for_gang();
  if (!complete) co_return fail(std::move(complete).error());
  ready->gang = assignment_.gang;  // with the others' ports
  if (!assignment_.gang) ++note_.attempt;
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

Result<void> Member::lease_ports() {
  const auto* backend = context_.backends.find(assignment_.backend);
  const std::string role =
      assignment_.gang ? assignment_.gang->members.at(assignment_.member).role : "main";
  const bool is_main = assignment_.gang && assignment_.member == 0;
  const auto tunnels = is_main ? model::tunnelled_members(*assignment_.gang).size() : 0;
  BERTH_CHECK(ports_.lease((backend == nullptr ? 1 : backend->ports(role)) + tunnels));
  note_.port = ports_.all().front();
  note_.other_ports.assign(std::next(ports_.all().begin()), ports_.all().end());
  return {};
}

// Until every member has its ports, and those that have to be ready before this one are.
net::Task<Result<void>> Member::wait_for_gang() {
  if (!assignment_.gang) co_return Result<void>{};
  enter(InstanceState::starting, "waits for the others of its gang");
  while (!is_leaving() && !is_halted()) {
    if (may_start(*assignment_.gang, assignment_.member)) co_return Result<void>{};
    co_await wake_up_->wait(kIdlePause);
  }
  co_return fail(ErrorCode::cancelled, "stopped before its gang was complete");
}

bool Member::is_halted() const {
  return assignment_.gang &&
         (assignment_.gang->halted || assignment_.gang->attempt != note_.attempt);
}

// Ends the engine because the rest of its gang has ended: no failure of its own.
net::Task<> Member::halt() {
  if (shim_) {
    co_await end_engine(false);
    disown();
    co_await net::offload(context_.pool, [this, note = note_]() -> Result<void> {
      read_exit(context_, folder_, note);
      return {};
    });
    co_await wait_for_devices();
  }
  ended_attempt_ = note_.attempt;
  enter(InstanceState::restarting, std::string(kOtherEnded));
}

// Of a gang, until the server says that the next attempt begins.
net::Task<> Member::wait_for_attempt() {
  if (!assignment_.gang) co_return;
  if (assignment_.gang->halted) enter(InstanceState::restarting, std::string(kOtherEnded));
  while (!is_leaving() &&
         (assignment_.gang->halted || assignment_.gang->attempt <= ended_attempt_)) {
    co_await wake_up_->wait(kIdlePause);
  }
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
    if (note_.failures > 0 && context_.clock.steady_now() - ready_since > model::kHealthyWhile) {
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
  ended_attempt_ = note_.attempt;
  // Of a gang, the server counts.
  given_up_ = permanent ||
              (!assignment_.gang && note_.failures > assignment_.deployment.restart.max_failures);
  if (given_up_) {
    enter(InstanceState::failed, std::move(reason));
  } else {
    enter(InstanceState::restarting, std::move(reason));
  }
}

net::Task<> Member::pause_or_give_up() {
  if (draining_ || assignment_.gang) co_return;
  const Duration pause = model::restart_pause(note_.failures);
  const SteadyTime until = context_.clock.steady_now() + pause;
  while (!is_leaving() && (given_up_ || context_.clock.steady_now() < until)) {
    co_await wake_up_->wait(given_up_ ? Duration(kIdlePause) : pause);
  }
}

}  // namespace berth::worker
