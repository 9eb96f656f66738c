// Quantisations as the names of GGUF files tell them, and which of several is preferred.
#pragma once

#include <string>
#include <string_view>

namespace berth::sources {

// The quantisation in the name of a GGUF file, in capitals: "Q4_K_M", "UD-Q4_K_XL", "BF16"; of the
// folder where the file's own name has none. The last one where there are several. Empty where
// there is none.
std::string quantisation_of(std::string_view path);

// Whether the user's word for a quantisation means this one: whatever the case, and "Q4_K_XL" also
// means "UD-Q4_K_XL".
bool means_quantisation(std::string_view word, std::string_view quantisation);

// Whether `left` is preferred to `right`. A total order:
//
// 1. by bits: 4, 5, 6, 8, then 3, 16, 2, 1, 32 (four lose little and are fast; more is better than
//    less while it is not twice as large; whole weights before what is hardly a model any more);
// 2. of as many bits: K-quants before I-quants, which are slow on a CPU, before block floats
//    (MXFP4), before the old kinds (Q4_1, Q4_0);
// 3. of one kind: M, XL, L, S, then the rest by name; plain ones before "UD-".
//
// So: Q4_K_M, Q4_K_XL, Q4_K_L, Q4_K_S, IQ4_XS, MXFP4, Q4_1, Q4_0, Q5_K_M, …; unknown ones last.
bool is_preferred(std::string_view left, std::string_view right);

// The rule in a few words, for people.
inline constexpr std::string_view kQuantisationRule =
    "Q4_K_M first, then its neighbours of 4 bits, then 5, 6, 8, 3, 16, 2 and 1 bits";

}  // namespace berth::sources
