// WorkerHealth: which workers are ready, suspected and lost, judged by how long each has been
// silent, and the brake on moving instances where most are lost at once.
#pragma once

#include "base/clock.h"
#include "model/worker.h"

#include <cstddef>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

namespace berth::server {

// Whether nobody knows how a worker's instances are.
[[nodiscard]] constexpr bool is_silent(model::WorkerState state) {
  return state == model::WorkerState::suspected || state == model::WorkerState::lost;
}

struct HealthPolicy {
  Duration suspect_after = std::chrono::seconds(20);  // of silence
  Duration lost_after = std::chrono::seconds(60);
  // The brake: of at least `mass_of` workers, more than half and at least `mass_least` lost within
  // `mass_window`. More likely the network or this server is at fault than all of them.
  Duration mass_loss_hold = std::chrono::minutes(10);  // nothing is moved for so long; 0: no brake
  Duration mass_window = std::chrono::seconds(60);
  std::size_t mass_of = 4;
  std::size_t mass_least = 3;
  // Between two looks. Of a longer pause, the rest was this server's own: it was stopped, or its
  // store was away, and could not have heard anybody.
  Duration longest_pause = std::chrono::seconds(10);
};

// A value that remembers; used by one thread. Time is given to it, and runs only while the server
// looks.
class WorkerHealth {
 public:
  explicit WorkerHealth(HealthPolicy policy) : policy_(policy) {}

  // What is known of a worker.
  struct Seen {
    std::string name;
    model::WorkerState state;         // as it was judged last, perhaps before a restart
    std::optional<SteadyTime> heard;  // last, since this server started
    bool reports = false;             // since it registered last
  };
  struct Verdict {
    std::string name;
    model::WorkerState state;
    Duration silence;
    bool heard = false;  // since this server started
    // Lost, and its instances are to be placed elsewhere.
    bool given_up = false;
  };
  // One verdict for each worker. Call it again after `next_look`.
  [[nodiscard]] std::vector<Verdict> look(const std::vector<Seen>& workers, SteadyTime now);

  // For how long nothing is moved yet; nullopt where the brake is not on.
  [[nodiscard]] std::optional<Duration> hold_left() const;
  // How many were lost of how many, when it was put on last.
  struct Share {
    std::size_t gone = 0;
    std::size_t all = 0;
  };
  [[nodiscard]] Share hold_for() const { return hold_for_; }
  // Until a silent worker is judged otherwise, if nothing is heard of it; at most `most`.
  [[nodiscard]] Duration next_look(Duration most) const;

 private:
  struct Silence {
    std::optional<SteadyTime> heard;
    Duration since{};  // of `awake_`
  };
  [[nodiscard]] Duration silence_of(const std::string& name) const;
  void judge_losses();
  // The workers that have been silent for so long, since about the same time as `name`.
  [[nodiscard]] Share share_of(const std::string& name, Duration silent_for) const;
  [[nodiscard]] bool is_mass(const Share& share) const;

  HealthPolicy policy_;
  std::optional<SteadyTime> last_look_;
  Duration awake_{};  // for how long this server has been looking
  std::map<std::string, Silence> silences_;
  std::set<std::string> lost_;      // by this server's own judgement
  std::set<std::string> given_up_;  // of them
  std::optional<Duration> hold_until_;
  Share hold_for_;
};

}  // namespace berth::server
