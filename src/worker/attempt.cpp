#include "worker/attempt.h"

#include "base/files.h"
#include "engines/runtime.h"
#include "process/memory_kills.h"
#include "process/process_table.h"
#include "worker/engine_group.h"
#include "worker/likely_cause.h"
#include "worker/proxy_keeper.h"

#include <algorithm>
#include <csignal>
#include <set>
#include <sstream>
#include <sys/stat.h>

#include <spdlog/spdlog.h>

namespace berth::worker {
namespace {

using process::ShimPhase;

constexpr std::chrono::seconds kShimPatience{10};
constexpr std::chrono::milliseconds kShimLook{100};
constexpr std::size_t kLastLines = 20;
constexpr std::size_t kSearchedLines = 400;  // for what broke, above the traces that follow it

std::vector<std::string> to_lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) {
    if (!line.empty()) lines.push_back(std::move(line));
  }
  return lines;
}

// The files are there as the server saw them.
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

Result<model::LaunchPlan> make_plan(const MemberContext& context,
                                    const model::Assignment& assignment, const MemberFolder& folder,
                                    const MemberNote& note, const model::PackStatus& pack,
                                    const model::Worker& worker) {
  const auto* backend = context.backends.find(assignment.backend);
  if (backend == nullptr) {
    return fail(ErrorCode::unsupported, "this worker has no backend named {}", assignment.backend);
  }
  BERTH_TRY(model::LaunchPlan plan,
            backend->launch({.deployment = assignment.deployment,
                             .profile = assignment.profile,
                             .placement = assignment.placement,
                             .serving = assignment.serving,
                             .pack = pack.pack,
                             .pack_folder = pack.folder,
                             .pack_python = engines::pack_python(pack.folder).string(),
                             .worker = worker,
                             .instance = assignment.instance,
                             .generation = assignment.generation,
                             .member = assignment.member,
                             .folder = folder.path().string(),
                             .engine_key = assignment.engine_key,
                             .ports = note.ports(),
                             .gang = assignment.gang ? &*assignment.gang : nullptr,
                             .system_env = context.system_env,
                             .allowed_env = context.allowed_env}));
  if (const auto timeout = assignment.deployment.readiness_timeout) {
    plan.readiness_deadline = std::chrono::seconds(*timeout);
  }
  return plan;
}

process::ShimLaunch shim_launch(const MemberContext& context, const MemberFolder& folder,
                                const MemberNote& note, const model::LaunchPlan& plan) {
  process::ShimLaunch launch;
  launch.program = context.shim_program;
  launch.spec_path = folder.shim_spec();
  launch.spec = {.cluster = context.cluster_tag,
                 .instance = process_tag(note.instance, note.member),
                 .generation = note.generation,
                 .attempt = note.attempt,
                 .argv = plan.argv,
                 .environment = {},
                 .working_directory = plan.working_directory,
                 .control_group = note.control_group,
                 .state_path = folder.shim_state().string(),
                 .log_path = folder.log(note.attempt).string(),
                 .stop_signal = plan.stop_signal,
                 .stop_grace_milliseconds = static_cast<std::uint64_t>(plan.stop_grace.count())};
  for (const auto& variable : plan.env) {
    launch.spec.environment.emplace_back(variable.name, variable.value);
  }
  return launch;
}

// The state once the engine runs, or has run already.
Result<process::ShimState> wait_until_running(const process::ShimHandle& shim,
                                              const MemberFolder& folder) {
  const SteadyTime deadline = std::chrono::steady_clock::now() + kShimPatience;
  for (;;) {
    const bool ended = shim.pidfd.wait(Duration(0));
    auto state = process::wait_for_phase(folder.shim_state(), ShimPhase::running, kShimLook);
    if (state || state.error().code != ErrorCode::timeout) return state;
    if (ended) return fail(ErrorCode::io, "the engine's shim was killed before it started it");
    if (std::chrono::steady_clock::now() >= deadline) return state;
  }
}

// From the note to the running shim.
Result<Attempt> run_plan(const MemberContext& context, const model::Assignment& assignment,
                         const MemberFolder& folder, MemberNote note, model::LaunchPlan plan) {
  BERTH_CHECK(folder.write_note(note));
  folder.forget_old_logs(note.attempt, context.kept_logs);
  BERTH_CHECK(write_file_atomic(folder.log(note.attempt),
                                log_head(note, plan, to_rfc3339(context.clock.system_now())),
                                0600));
  BERTH_TRY(auto shim, process::start_shim(shim_launch(context, folder, note, plan)));
  auto state = wait_until_running(shim, folder);
  if (!state) {
    BERTH_CHECK(process::kill_shim(shim));
    process::wait_for_end(shim, kShimPatience);
    end_unknown(context, assignment);
    return fail(std::move(state).error());
  }
  return Attempt{.note = std::move(note),
                 .plan = std::move(plan),
                 .shim = std::move(shim),
                 .state = *std::move(state)};
}

// What the kernel ended for want of memory: of the engine's group exactly, else of the machine.
void read_memory_kills(const MemberNote& note, EndFacts& facts) {
  if (!note.control_group.empty()) {
    if (const auto events = process::memory_events(note.control_group)) {
      facts.memory_kills = events->kills > 0;
      if (facts.memory_kills && events->limit_misses > 0) facts.memory_limit = events->limit;
      return;
    }
  }
  facts.memory_kills = note.memory_kills && process::memory_kills() > note.memory_kills;
}

}  // namespace

Result<Attempt> start_attempt(const MemberContext& context, const model::Assignment& assignment,
                              const MemberFolder& folder, MemberNote note,
                              const model::PackStatus& pack, const model::Worker& worker) {
  BERTH_CHECK(check_files(assignment.profile));
  BERTH_CHECK(folder.create());
  BERTH_TRY(model::LaunchPlan plan, make_plan(context, assignment, folder, note, pack, worker));
  BERTH_CHECK(write_files(plan));
  note.probe = plan.probe;
  note.liveness = plan.liveness;
  note.readiness_deadline = plan.readiness_deadline;
  note.stop_grace = plan.stop_grace;
  note.memory_kills = process::memory_kills();
  const auto group = make_group(context.groups, context.cluster_tag, assignment, note.attempt);
  note.control_group = group.string();
  auto attempt = run_plan(context, assignment, folder, std::move(note), std::move(plan));
  if (!attempt) end_group(group);
  return attempt;
}

model::EngineExit read_exit(const MemberContext& context, const MemberFolder& folder,
                            const MemberNote& note) {
  model::EngineExit exit;
  const auto state = process::read_shim_state(folder.shim_state());
  EndFacts facts{.log = to_lines(read_last_lines(folder.log(note.attempt), kSearchedLines))};
  read_memory_kills(note, facts);
  end_group(note.control_group);
  const auto shown = std::min(facts.log.size(), kLastLines);
  exit.last_lines.assign(facts.log.end() - static_cast<std::ptrdiff_t>(shown), facts.log.end());
  exit.at = to_rfc3339(context.clock.system_now());
  if (state) {
    exit.exit_code = state->exit_code;
    exit.signal = state->signal;
    if (!state->error.empty()) exit.last_lines.push_back(state->error);
    if (state->state == ShimPhase::exited) {
      exit.likely_cause = likely_cause(exit, facts);
      return exit;
    }
  }
  if (!exit.exit_code && !exit.signal) {
    exit.signal = SIGKILL;  // the kernel takes the engine along
    exit.likely_cause = "its shim was killed";
  } else {
    exit.likely_cause = likely_cause(exit, facts);
  }
  const auto swept = process::sweep(context.cluster_tag);  // what the engine had started
  for (const auto& left : swept.left) {
    spdlog::error("process {} ({}) of an engine can not be ended", left.identity.pid, left.name);
  }
  return exit;
}

void end_unknown(const MemberContext& context, const model::Assignment& assignment) {
  const auto swept = process::sweep(context.cluster_tag, [&](const process::TaggedProcess& shim) {
    return shim.instance != process_tag(assignment.instance, assignment.member) ||
           shim.generation != assignment.generation;
  });
  end_groups(context.groups, group_prefix(context.cluster_tag, assignment));
  if (swept.killed.empty()) return;
  spdlog::warn("{}: ended {} processes that nobody owned", assignment.instance,
               swept.killed.size());
}

// Ends what an earlier agent left without a note: nobody could own it.
void sweep_strangers(const DataFolder& data, const std::string& cluster_tag) {
  std::set<std::string> noted;
  for (const auto& folder : find_member_folders(data)) {
    const auto note = folder.read_note();
    if (note) noted.insert(process_tag(note->instance, note->member));
  }
  noted.emplace(kProxyInstance);
  const auto swept = process::sweep(cluster_tag, [&](const process::TaggedProcess& shim) {
    return noted.contains(shim.instance);
  });
  if (!swept.killed.empty()) {
    spdlog::warn("ended {} processes that nobody owned", swept.killed.size());
  }
}

std::optional<process::ControlGroups> take_groups(const DataFolder& data,
                                                  const std::string& cluster_tag) {
  auto groups = find_groups(cluster_tag);
  std::set<std::filesystem::path> kept;
  for (const auto& folder : find_member_folders(data)) {
    if (const auto note = folder.read_note()) kept.insert(note->control_group);
  }
  end_groups(groups, group_prefix(cluster_tag), kept);
  return groups;
}

}  // namespace berth::worker
