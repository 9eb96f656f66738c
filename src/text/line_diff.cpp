#include "text/line_diff.h"

#include <algorithm>
#include <cstdint>
#include <vector>

#include <fmt/format.h>

namespace berth::text {
namespace {

constexpr std::size_t kContext = 3;
constexpr std::size_t kLargestTable = 4'000'000;  // fields of the table of common lines

using Lines = std::vector<std::string_view>;

Lines split(std::string_view text) {
  Lines lines;
  while (!text.empty()) {
    const auto end = text.find('\n');
    lines.push_back(text.substr(0, end));
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
  }
  return lines;
}

struct Edit {
  char sign = ' ';  // ' ' in both, '-' before only, '+' after only
  std::string_view line;
};

// The edits between two lists that differ in their first and last line.
void compare_middle(const Lines& a, const Lines& b, std::vector<Edit>& edits) {
  const std::size_t width = b.size() + 1;
  // common[i * width + j]: lines that a from i on and b from j on have in common, in order.
  std::vector<std::uint32_t> common;
  const bool fits = (a.size() + 1) * width <= kLargestTable;
  if (fits) {
    common.assign((a.size() + 1) * width, 0);
    for (std::size_t i = a.size(); i-- > 0;) {
      for (std::size_t j = b.size(); j-- > 0;) {
        common[i * width + j] =
            a[i] == b[j] ? common[(i + 1) * width + j + 1] + 1
                         : std::max(common[(i + 1) * width + j], common[i * width + j + 1]);
      }
    }
  }
  std::size_t i = 0;
  std::size_t j = 0;
  while (i < a.size() || j < b.size()) {
    if (fits && i < a.size() && j < b.size() && a[i] == b[j]) {
      edits.push_back({' ', a[i]});
      ++i;
      ++j;
    } else if (i < a.size() && (!fits || j == b.size() ||
                                common[(i + 1) * width + j] >= common[i * width + j + 1])) {
      edits.push_back({'-', a[i++]});
    } else {
      edits.push_back({'+', b[j++]});
    }
  }
}

std::vector<Edit> compare(const Lines& a, const Lines& b) {
  const auto [a_differs, b_differs] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
  const auto front = a_differs - a.begin();
  const auto most = std::min(a.end() - a_differs, b.end() - b_differs);
  std::ptrdiff_t back = 0;
  while (back < most && *(a.end() - 1 - back) == *(b.end() - 1 - back)) ++back;
  std::vector<Edit> edits;
  edits.reserve(a.size() + b.size());
  for (auto line = a.begin(); line != a.begin() + front; ++line) edits.push_back({' ', *line});
  compare_middle({a_differs, a.end() - back}, {b_differs, b.end() - back}, edits);
  for (auto line = a.end() - back; line != a.end(); ++line) edits.push_back({' ', *line});
  return edits;
}

// "12,3": diff(1) writes the line before where a side has none.
std::string range(std::size_t first, std::size_t count) {
  if (count == 1) return std::to_string(first + 1);
  return fmt::format("{},{}", count == 0 ? first : first + 1, count);
}

}  // namespace

std::string unified_diff(std::string_view before, std::string_view after,
                         std::string_view before_name, std::string_view after_name) {
  const auto edits = compare(split(before), split(after));
  std::string out;
  std::size_t a = 0;  // lines of each side before edits[at]
  std::size_t b = 0;
  std::size_t at = 0;
  const auto step = [&] {
    if (edits[at].sign != '+') ++a;
    if (edits[at].sign != '-') ++b;
    ++at;
  };
  while (at < edits.size()) {
    // A hunk begins where a change comes within the context, and ends where none does for twice it.
    std::size_t change = at;
    while (change < edits.size() && edits[change].sign == ' ') ++change;
    if (change == edits.size()) break;
    while (at + kContext < change) step();
    std::size_t end = change;
    for (std::size_t i = change; i < edits.size() && i <= end + 2 * kContext; ++i) {
      if (edits[i].sign != ' ') end = i;
    }
    end = std::min(end + 1 + kContext, edits.size());
    const std::size_t first_a = a;
    const std::size_t first_b = b;
    std::string body;
    while (at < end) {
      body += edits[at].sign;
      body.append(edits[at].line).append("\n");
      step();
    }
    out += fmt::format("@@ -{} +{} @@\n{}", range(first_a, a - first_a),
                       range(first_b, b - first_b), body);
  }
  if (out.empty()) return out;
  return fmt::format("--- {}\n+++ {}\n{}", before_name, after_name, out);
}

}  // namespace berth::text
