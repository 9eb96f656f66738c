// Preparation: what must be on this machine before a member's engine can start, its engine pack and
// its model's files.
#pragma once

#include "cluster/protocol.h"
#include "net/wake_up.h"
#include "worker/attempt.h"

#include <functional>
#include <memory>
#include <optional>
#include <stop_token>
#include <string>

namespace berth::worker {

struct PreparationEvents {
  std::function<void(model::InstanceState, std::string reason)> enter;
  std::function<bool()> is_unwanted;  // whatever is waited for is of no use any more
};

// Belongs to a member, and is used by its task alone; `wake_up` is the member's.
class Preparation {
 public:
  Preparation(const MemberContext& context, const model::Assignment& assignment,
              std::shared_ptr<net::WakeUp> wake_up, PreparationEvents events);

  // They stay this member's for as long as it lives, so that nobody removes them.
  void want_files();
  // The pack, installed if need be. Fails as the installation, or with cancelled.
  net::Task<Result<model::PackStatus>> ensure_pack();
  // The assignment with the files where they are on this machine. Fails as their download, or with
  // cancelled.
  net::Task<Result<model::Assignment>> ensure_files(model::Assignment assignment);
  // Asks an installation to end.
  void cancel() { cancel_.request_stop(); }
  // Adds how far a long step has come.
  void describe(cluster::InstanceReport& report) const;

 private:
  const MemberContext& context_;
  std::string pack_;
  std::optional<model::RepositoryFiles> wanted_;
  std::shared_ptr<net::WakeUp> wake_up_;
  PreparationEvents events_;
  std::stop_source cancel_;
  std::shared_ptr<ModelFiles::Ticket> files_;  // where the model's are on a hub
};

}  // namespace berth::worker
