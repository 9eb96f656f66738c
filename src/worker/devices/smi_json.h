// What rocm-smi and its relatives print with --json: "card0": {"name": "value", …} for each card.
#pragma once

#include "worker/devices/readings.h"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace berth::worker::devices {

struct SmiCard {
  std::uint32_t index = 0;
  std::map<std::string, std::string, std::less<>> fields;  // names in lower case

  // Of the first of these names that is there.
  [[nodiscard]] std::string_view text(std::initializer_list<std::string_view> names) const;
};

// Reads more than JSON: some versions leave commas out, put warnings in front, or do not quote
// numbers. A card that is cut off is not among them. Pure.
std::vector<SmiCard> read_smi_cards(std::string_view text);

}  // namespace berth::worker::devices
