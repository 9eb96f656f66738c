#include "model/instance.h"

namespace berth::model {

std::string assignment_name(const std::string& instance, std::uint64_t generation,
                            std::uint32_t member) {
  return fmt::format("{}.{}.{}", instance, generation, member);
}

}  // namespace berth::model
