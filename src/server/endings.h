// What is left of instances on their workers, as those say. Pure.
#pragma once

#include "model/instance.h"
#include "server/reconcile.h"
#include "store/store.h"

#include <string>
#include <vector>

namespace berth::server {

// Whether nothing of `instance`, as stored at `revision`, is left on a worker. One that is lost
// ends it when it comes back, for want of an assignment; null stands for one that was removed.
// `only_main`: members other than the main one do not count.
[[nodiscard]] bool is_gone(const ClusterState& state, const model::Instance& instance,
                           store::Revision revision, const model::WorkerView* worker,
                           bool only_main = false);
// Whether nothing of it is left on any of them.
[[nodiscard]] bool is_gone(const ClusterState& state, const model::Instance& instance,
                           store::Revision revision);

// Workers that are to be emptied, and that none of `instances` is on any more.
[[nodiscard]] std::vector<std::string> emptied_workers(
    const model::ClusterView& view, const std::vector<const model::Instance*>& instances);

// Whether some worker that is not lost has not spoken since the server started.
[[nodiscard]] bool is_any_unheard(const ClusterState& state);

}  // namespace berth::server
