// Event: what happened to an object and why, for people: "engine exited with code 137 (out of
// memory)". Kept in a table of its own, the newest only.
#pragma once

#include "base/clock.h"

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

#include <boost/describe.hpp>

namespace berth::store {

BOOST_DEFINE_ENUM_CLASS(EventLevel, info, warning, error)

inline constexpr std::size_t kEventTextLimit = 4096;  // bytes of a message

struct Event {
  std::uint64_t id = 0;  // given by the store, increasing
  SystemTime time;       // kept in milliseconds
  std::string kind;      // of the object that it is about: "model", "instance", "worker"
  std::string name;      // its name
  EventLevel level = EventLevel::info;
  std::string reason;   // one word for machines: "Scheduled", "EngineExited"
  std::string message;  // a sentence for people
};

// What is empty does not filter.
struct EventFilter {
  std::string kind;
  std::string name;
  std::optional<EventLevel> level;  // this one only
  std::uint64_t after_id = 0;       // only newer ones
};

}  // namespace berth::store
