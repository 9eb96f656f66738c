// Member: one engine that an assignment asks for. Fetches its files, installs its pack, leases its
// port, starts it under a shim, probes it, starts it again when it ends, and ends it when the
// assignment is gone.
#pragma once

#include "base/clock.h"
#include "cluster/protocol.h"
#include "model/instance.h"
#include "net/wake_up.h"
#include "process/shim.h"
#include "worker/attempt.h"
#include "worker/devices/device_watch.h"
#include "worker/held_memory.h"
#include "worker/leased_ports.h"
#include "worker/member_folder.h"
#include "worker/preparation.h"
#include "worker/shim_watch.h"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace berth::worker {

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
  // What the server says of it by now: of a gang, which ports the others have, whether they are
  // ready, and whether one has ended, which ends this one too until the next attempt.
  void update(const model::Assignment& assignment);
  // As `stop`, once the requests under way are answered, or half a minute has passed.
  void drain();
  // Leaves the engine running, for the next agent to find.
  void detach();

  // Whether it is known by now if an earlier agent left its engine. Before, a report would say too
  // little, and a serving engine would get no more requests.
  [[nodiscard]] bool is_settled() const { return settled_; }
  // Where its engine listens; 0 while it has none.
  [[nodiscard]] std::uint16_t port() const { return engine_ ? note_.port : std::uint16_t{0}; }
  // Leased for it: its engine's, then those of its tunnels (model::tunnelled_members).
  [[nodiscard]] const std::vector<std::uint16_t>& ports() const { return ports_.all(); }
  [[nodiscard]] cluster::InstanceReport report() const;
  [[nodiscard]] const model::Assignment& assignment() const { return assignment_; }
  // The pack that its engine runs from, while it has one.
  [[nodiscard]] const std::string& pack() const { return note_.pack; }
  // The engine's process, while it runs.
  [[nodiscard]] std::optional<pid_t> engine() const { return engine_; }
  // What it uses now, as measured while it ran.
  void set_use(EngineUse use);

 private:
  using Condition = bool (Member::*)() const;

  net::Task<> adopt();
  net::Task<Result<void>> start_engine();
  net::Task<> wait_for_attempt();
  net::Task<Result<void>> wait_for_gang();
  net::Task<> halt();
  net::Task<> supervise();
  net::Task<bool> become_ready();
  net::Task<> watch_over();
  net::Task<> drain_engine();
  net::Task<bool> is_healthy(Condition unless);
  net::Task<bool> is_idle();
  net::Task<> end_engine(bool at_once);
  net::Task<> take_exit();
  net::Task<> wait_for_devices();
  net::Task<> pause_or_give_up();
  net::Task<> until(Condition condition);
  net::Task<> give_up_engine(std::string reason, std::string cause);
  void note_failure(std::string reason, bool permanent);
  void own(process::ShimHandle shim, pid_t engine);
  void disown();
  Result<void> lease_ports();
  void enter(model::InstanceState state, std::string reason);
  [[nodiscard]] bool is_leaving() const { return stopping_ || detached_; }
  [[nodiscard]] bool has_ended() const;  // its shim has
  // The rest of its gang has ended, or is at another attempt.
  [[nodiscard]] bool is_halted() const;
  [[nodiscard]] bool is_over() const { return is_leaving() || has_ended() || is_halted(); }
  [[nodiscard]] bool is_disturbed() const { return is_over() || draining_; }

  const MemberContext& context_;
  model::Assignment assignment_;
  MemberFolder folder_;
  MemberNote note_;
  std::shared_ptr<net::WakeUp> wake_up_;
  bool settled_ = false;
  bool draining_ = false;
  bool stopping_ = false;
  bool worker_ends_ = false;
  bool detached_ = false;
  bool given_up_ = false;
  LeasedPorts ports_;
  Preparation preparation_;
  std::uint32_t ended_attempt_ = 0;  // the last one of a gang that is over here

  model::InstanceState state_ = model::InstanceState::scheduled;
  std::string reason_;
  std::optional<model::EngineExit> last_exit_;
  std::optional<EngineUse> use_;
  HeldMemory held_;
  std::optional<process::ShimHandle> shim_;
  std::optional<pid_t> engine_;
  // Where we ended the engine ourselves: why, and the likely cause to show.
  std::string ended_because_;
  std::string ended_cause_;

  std::unique_ptr<ShimWatch> shim_watch_;
};

}  // namespace berth::worker
