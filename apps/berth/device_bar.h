// A device's memory as a bar of marks.
#pragma once

#include "base/bytes.h"
#include "terminal.h"

#include <string>
#include <vector>

namespace berth::app {

// One part of the memory: "8.0 GiB" as '#'.
struct BarPart {
  Bytes size;
  char mark = ' ';
  Style style = Style::plain;
};

// 48 marks for `whole`: as many of each part as its share, at least one where it is something, and
// blanks for the rest. Pure.
std::string device_bar(const std::vector<BarPart>& parts, Bytes whole, bool colour);

}  // namespace berth::app
