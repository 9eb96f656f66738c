// Attempt: one start of an engine, from the launch plan to its running shim.
#pragma once

#include "backends/backend.h"
#include "base/clock.h"
#include "base/data_folder.h"
#include "cluster/protocol.h"
#include "model/instance.h"
#include "net/thread_pool.h"
#include "process/control_group.h"
#include "process/ports.h"
#include "process/shim.h"
#include "worker/devices/device_watch.h"
#include "worker/member_folder.h"
#include "worker/model_files.h"
#include "worker/packs.h"

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace berth::worker {

// What members share. All of it outlives them.
struct MemberContext {
  DataFolder data;
  const backends::Registry& backends;
  Packs& packs;
  ModelFiles& files;
  process::PortLeases& ports;
  net::ThreadPool& pool;          // short blocking work
  net::ThreadPool& install_pool;  // installations, which take minutes
  std::shared_ptr<DeviceWatch> devices;
  const Clock& clock;
  std::filesystem::path shim_program;
  std::string cluster_tag;                             // marks our processes
  std::function<model::Worker()> facts;                // this worker, for launch plans
  std::function<void()> on_change;                     // a report is due
  std::map<std::string, std::string> system_env = {};  // this process's own
  std::uint32_t kept_logs = 10;                        // of an instance, one an attempt
  std::vector<std::string> allowed_env = {};  // guarded variables that engines may be given
  std::optional<process::ControlGroups> groups = std::nullopt;  // where engines can have some
};

struct Attempt {
  MemberNote note;  // as it was written
  model::LaunchPlan plan;
  process::ShimHandle shim;
  process::ShimState state;
};

// Starts the attempt `note.attempt` on `note.port` with an installed pack: files, log, note, shim.
// Blocks for milliseconds; `worker` is this machine. Fails with not_found or conflict where the
// model's files are not as the server saw them, as Backend::launch, or with io; nothing runs then.
Result<Attempt> start_attempt(const MemberContext& context, const model::Assignment& assignment,
                              const MemberFolder& folder, MemberNote note,
                              const model::PackStatus& pack, const model::Worker& worker);

// How the engine of an attempt ended, whose shim has, and why, as far as that can be told. Ends
// what the engine left where the shim could not, being killed itself. Blocks.
model::EngineExit read_exit(const MemberContext& context, const MemberFolder& folder,
                            const MemberNote& note);

// Ends what an earlier agent left without a note: nobody could own it. Blocks.
void sweep_strangers(const DataFolder& data, const std::string& cluster_tag);
// The place for control groups on this worker, where it has one; says once why not. Ends the groups
// of attempts that no note tells of. Blocks.
std::optional<process::ControlGroups> take_groups(const DataFolder& data,
                                                  const std::string& cluster_tag);

// Ends every process of this instance and generation, and those of the cluster that nobody owns.
// For an instance of which no shim is known. Blocks.
void end_unknown(const MemberContext& context, const model::Assignment& assignment);

}  // namespace berth::worker
