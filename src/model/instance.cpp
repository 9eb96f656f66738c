#include "model/instance.h"

#include <utility>

namespace berth::model {

void Instance::enter(InstanceState next, std::string why, SystemTime now) {
  if (state != next) {
    state_since = to_rfc3339(now);
    deadline.clear();
  }
  state = next;
  reason = std::move(why);
}

std::string assignment_name(const std::string& instance, std::uint64_t generation,
                            std::uint32_t member) {
  return fmt::format("{}.{}.{}", instance, generation, member);
}

}  // namespace berth::model
