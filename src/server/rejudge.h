// Models that no pack of the cluster has measured yet: judged once a pack that can is there,
// without an edit.
#pragma once

#include "model/cluster_view.h"
#include "model/instance.h"
#include "server/context.h"
#include "server/reconcile.h"
#include "store/typed.h"

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace berth::server {

// A model that wants to be judged, and all that the answer depends on.
struct Rejudgement {
  std::string model;       // its name
  std::string created_at;  // another model may have had the name
  std::uint64_t generation = 1;
  std::vector<std::string> builds;  // that can measure it, in order, each once
  bool devices = false;             // some worker has a device beside its CPU

  friend bool operator==(const Rejudgement&, const Rejudgement&) = default;
};

// The models whose table is of no build that a ready worker could measure with, or lacks figures
// for devices though there are some. A file on disks is measured by the worker that read it alone.
// Models that are being deleted, or of whose files nothing is known, are left alone. Pure.
std::vector<Rejudgement> models_to_judge(const std::vector<store::Stored<model::Model>>& models,
                                         const model::ClusterView& view);

// Has these models judged, one at a time, on the pool for files: only their `compute` is written,
// so instances run on, and the next placement counts with it. A question that failed is asked again
// after a while; one that was answered is not, unless what the answer depends on has changed.
class Rejudging {
 public:
  // Copies `context`; what that refers to must outlive this.
  explicit Rejudging(const ServerContext& context);
  // Gives up what is under way (as the server's end does), and waits for it.
  ~Rejudging();
  Rejudging(const Rejudging&) = delete;
  Rejudging& operator=(const Rejudging&) = delete;

  // Begins with one model, if there is one and none is under way. Does not block. Thread-safe.
  void look(const std::vector<store::Stored<model::Model>>& models, const model::ClusterView& view);
  // Waits until none is under way. Thread-safe.
  void wait();

 private:
  struct Try {
    Rejudgement question;
    std::uint32_t failures = 0;  // in a row
    SteadyTime since;            // when it ended
    bool answered = false;
  };

  [[nodiscard]] bool is_due(const Rejudgement& question) const;
  // Of the ones that are due, the one that has waited longest. Null: none is due.
  [[nodiscard]] const Rejudgement* choose(const std::vector<Rejudgement>& wanted) const;
  void work(const model::Model& model, const Rejudgement& question);
  Result<bool> judge(const model::Model& model, const Rejudgement& question);

  std::stop_source stop_;
  ServerContext context_;  // whose end is `stop_`
  std::mutex mutex_;
  std::condition_variable idle_;
  bool busy_ = false;
  std::map<std::string, Try> tries_;  // by the model's name
  std::stop_callback<std::function<void()>> on_end_;
};

// Has the server's control loop, before it is started, look for such models at each pass.
void judge_when_possible(ServerContext& context);

}  // namespace berth::server
