#include "engines/progress.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>

namespace berth::engines {

namespace {

// Ninja's "[45/278] Building …", which uv passes on as "DEBUG [45/278] …".
std::optional<std::string> compiled_in(std::string_view line) {
  constexpr std::string_view kBegin = "DEBUG [";
  if (!line.starts_with(kBegin)) return std::nullopt;
  line.remove_prefix(kBegin.size());
  const auto slash = line.find('/');
  const auto end = line.find(']');
  const auto is_number = [](std::string_view text) {
    return !text.empty() && text.size() < 8 &&
           std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  };
  if (slash == std::string_view::npos || end == std::string_view::npos || slash > end) {
    return std::nullopt;
  }
  const auto done = line.substr(0, slash);
  const auto all = line.substr(slash + 1, end - slash - 1);
  if (!is_number(done) || !is_number(all)) return std::nullopt;
  return fmt::format("compiled {} of {} files", done, all);
}

}  // namespace

std::optional<std::string> step_in(std::string_view line) {
  // uv 0.13 (without a terminal) and pip; a line of theirs starts with one of these words.
  constexpr std::array<std::pair<std::string_view, std::string_view>, 8> kWords = {{
      {"Resolved ", "resolved "},
      {"Collecting ", "looking for "},
      {"Downloading ", "downloading "},
      {"Downloaded ", "downloaded "},
      {"Building ", "building "},
      {"Prepared ", "prepared "},
      {"Installing ", "installing "},
      {"Installed ", "installed "},
  }};
  constexpr std::size_t kLongest = 120;
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  if (auto step = compiled_in(line)) return step;
  for (const auto& [word, step] : kWords) {
    if (line.starts_with(word)) {
      return std::string(step) + std::string(line.substr(word.size(), kLongest));
    }
  }
  return std::nullopt;
}

}  // namespace berth::engines
