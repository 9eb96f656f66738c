#include "engines/progress.h"

#include <algorithm>
#include <array>
#include <utility>

namespace berth::engines {

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
  for (const auto& [word, step] : kWords) {
    if (line.starts_with(word)) {
      return std::string(step) + std::string(line.substr(word.size(), kLongest));
    }
  }
  return std::nullopt;
}

}  // namespace berth::engines
