#include "sources/hub/quantisation.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <tuple>

namespace berth::sources {
namespace {

constexpr std::string_view kDynamic = "UD-";  // Unsloth's, with types that vary by layer

std::string capitals(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(),
                         [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  return out;
}

bool is_digit(char c) { return c >= '0' && c <= '9'; }

// "Q4_K_M", "IQ2_XXS", "TQ1_0", "Q8", "BF16", "MXFP4_MOE"; `text` is in capitals.
bool is_quantisation(std::string_view text) {
  constexpr auto kFloats = std::to_array<std::string_view>(
      {"BF16", "F16", "F32", "FP16", "FP32", "FP8", "MXFP4", "MXFP4_MOE", "NVFP4"});
  if (std::ranges::find(kFloats, text) != kFloats.end()) return true;
  if (text.starts_with('I') || text.starts_with('T')) text.remove_prefix(1);
  if (text.size() < 2 || text[0] != 'Q' || !is_digit(text[1]) || text[1] == '0') return false;
  return text.size() == 2 || (text.size() > 3 && text[2] == '_');
}

// The last quantisation among the words of a file's or folder's name.
std::string last_in(std::string_view name) {
  const std::string text = capitals(name);
  std::string found;
  for (std::size_t begin = 0; begin < text.size(); ++begin) {
    const bool is_start =
        begin == 0 || std::string_view("-._ ").find(text[begin - 1]) != std::string_view::npos;
    if (!is_start) continue;
    const auto end = std::min(text.find_first_of("-. ", begin), text.size());
    const std::string_view word = std::string_view(text).substr(begin, end - begin);
    if (!is_quantisation(word)) continue;
    const bool is_dynamic =
        begin >= kDynamic.size() && text.substr(begin - kDynamic.size(), 3) == kDynamic;
    found = (is_dynamic ? std::string(kDynamic) : "") + std::string(word);
  }
  return found;
}

// Position in a list; its length where it is not in it.
template <std::size_t N>
std::size_t place_in(const std::array<std::string_view, N>& list, std::string_view text) {
  return static_cast<std::size_t>(std::ranges::find(list, text) - list.begin());
}

// What the order is made of, the most weighty first.
auto rank_of(std::string_view quantisation) {
  constexpr auto kBits =
      std::to_array<std::string_view>({"4", "5", "6", "8", "3", "16", "2", "1", "32"});
  constexpr auto kSizes = std::to_array<std::string_view>({"K_M", "K_XL", "K_L", "K_S", "K"});
  enum Kind : std::size_t { k_quant, i_quant, block_float, old };
  std::string_view text = quantisation;
  const bool is_dynamic = text.starts_with(kDynamic);
  if (is_dynamic) text.remove_prefix(kDynamic.size());
  const auto digit = std::ranges::find_if(text, is_digit);
  const auto digits_end = std::find_if_not(digit, text.end(), is_digit);
  const std::string_view bits(digit, digits_end);
  std::string_view size(digits_end, text.end());
  if (size.starts_with('_')) size.remove_prefix(1);
  const Kind kind = text.starts_with("IQ")                           ? i_quant
                    : text.starts_with('Q') && size.starts_with('K') ? k_quant
                    : text.find("FP") != std::string_view::npos      ? block_float
                                                                     : old;
  return std::make_tuple(place_in(kBits, bits), kind, place_in(kSizes, size), is_dynamic,
                         // Q4_1 is better than Q4_0.
                         kind == old ? -static_cast<int>(size.empty() ? 0 : size.front()) : 0,
                         quantisation);
}

}  // namespace

std::string quantisation_of(std::string_view path) {
  const auto slash = path.rfind('/');
  std::string_view name = path.substr(slash == std::string_view::npos ? 0 : slash + 1);
  if (name.ends_with(".gguf")) name.remove_suffix(5);
  std::string found = last_in(name);
  if (!found.empty() || slash == std::string_view::npos) return found;
  const std::string_view folder = path.substr(0, slash);
  const auto above = folder.rfind('/');
  return last_in(folder.substr(above == std::string_view::npos ? 0 : above + 1));
}

bool means_quantisation(std::string_view word, std::string_view quantisation) {
  const std::string wanted = capitals(word);
  if (wanted == quantisation) return true;
  return quantisation.starts_with(kDynamic) && wanted == quantisation.substr(kDynamic.size());
}

bool is_preferred(std::string_view left, std::string_view right) {
  return rank_of(left) < rank_of(right);
}

}  // namespace berth::sources
