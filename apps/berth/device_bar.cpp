#include "device_bar.h"

#include <algorithm>
#include <cmath>

namespace berth::app {
namespace {

constexpr std::size_t kBarWidth = 48;

}  // namespace

std::string device_bar(const std::vector<BarPart>& parts, Bytes whole, bool colour) {
  std::string text;
  std::size_t left = kBarWidth;
  for (const auto& part : parts) {
    const double share =
        static_cast<double>(part.size.count) / static_cast<double>(whole.count) * kBarWidth;
    auto count = std::min(static_cast<std::size_t>(std::lround(share)), left);
    if (count == 0 && part.size.count != 0 && left != 0) count = 1;
    left -= count;
    text += styled(std::string(count, part.mark), part.style, colour);
  }
  return text + std::string(left, ' ');
}

}  // namespace berth::app
