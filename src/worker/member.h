// Member: one member of an instance on this worker, from its assignment to its end: installs the
// pack, starts the engine under a shim, waits until it is ready, starts it again when it ends.
#pragma once

#include "backends/backend.h"
#include "base/clock.h"
#include "base/data_folder.h"
#include "cluster/protocol.h"
#include "model/instance.h"
#include "net/thread_pool.h"
#include "net/wake_up.h"
#include "process/ports.h"
#include "process/shim.h"
#include "worker/member_folder.h"
#include "worker/packs.h"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

namespace berth::worker {

// What members share. All of it outlives them.
struct MemberContext {
  DataFolder data;
  const backends::Registry& backends;
  Packs& packs;
  process::PortLeases& ports;
  net::ThreadPool& pool;          // short blocking work
  net::ThreadPool& install_pool;  // installations, which take minutes
  const Clock& clock;
  std::filesystem::path shim_program;
  std::string cluster_tag;               // marks our processes
  std::function<model::Worker()> facts;  // this worker, for launch plans
  std::function<void()> on_change;       // a report is due
};

// Lives on one io_context and is used on it alone. Held by shared_ptr while `run` is under way.
class Member {
 public:
  Member(const MemberContext& context, model::Assignment assignment, net::Executor executor);
  ~Member();
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  // Goes on until nothing of the member is left (after `stop`), or it was let go (after `detach`).
  net::Task<> run();
  // Ends the engine and everything that belongs to it: the assignment is gone, or, with a reason,
  // this worker goes down and a later one takes the assignment up again.
  void stop(std::string worker_ends = {});
  // Leaves the engine running, for the next agent to find.
  void detach();

  [[nodiscard]] cluster::InstanceReport report() const;
  [[nodiscard]] const model::Assignment& assignment() const { return assignment_; }
  // The pack that its engine runs from, while it has one.
  [[nodiscard]] const std::string& pack() const { return note_.pack; }
  // The engine's process, while it runs.
  [[nodiscard]] std::optional<pid_t> engine() const { return engine_; }
  void set_resident(Bytes resident) { resident_ = resident; }

 private:
  // What is needed to start one attempt, put together off the event loop.
  struct Attempt {
    model::LaunchPlan plan;
    process::ShimHandle shim;
    process::ShimState state;
  };

  net::Task<> adopt();
  net::Task<Result<void>> start_attempt();
  Result<Attempt> launch(const model::PackStatus& pack);
  net::Task<> supervise();
  net::Task<bool> is_healthy();
  net::Task<> end_engine();
  net::Task<> take_exit();
  net::Task<> pause_or_give_up();
  void note_failure(std::string reason, bool permanent);
  void watch_shim();
  void enter(model::InstanceState state, std::string reason);
  [[nodiscard]] bool is_leaving() const { return stopping_ || detached_; }

  const MemberContext& context_;
  model::Assignment assignment_;
  MemberFolder folder_;
  MemberNote note_;
  std::shared_ptr<net::WakeUp> wake_up_;
  std::stop_source cancel_install_;
  bool stopping_ = false;
  bool detached_ = false;
  bool given_up_ = false;

  model::InstanceState state_ = model::InstanceState::scheduled;
  std::string reason_;
  std::optional<model::EngineExit> last_exit_;
  std::optional<Bytes> resident_;
  std::optional<process::ShimHandle> shim_;
  std::optional<pid_t> engine_;
  Duration readiness_deadline_ = std::chrono::minutes(10);
  Duration stop_grace_ = std::chrono::seconds(10);

  struct ShimWatch;
  std::unique_ptr<ShimWatch> shim_watch_;
};

}  // namespace berth::worker
