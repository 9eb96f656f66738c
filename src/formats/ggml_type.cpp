#include "formats/ggml_type.h"

#include <algorithm>
#include <array>

namespace berth::formats {
namespace {

// ggml.h (enum ggml_type) and the block layouts of ggml-common.h, as of llama.cpp b11434. Ids that
// are missing were withdrawn: 4, 5 (Q4_2, Q4_3), 31 to 33 and 36 to 38 (repacked layouts).
constexpr std::array kTypes = std::to_array<GgmlType>({
    {0, "F32", 1, 4},         {1, "F16", 1, 2},         {2, "Q4_0", 32, 18},
    {3, "Q4_1", 32, 20},      {6, "Q5_0", 32, 22},      {7, "Q5_1", 32, 24},
    {8, "Q8_0", 32, 34},      {9, "Q8_1", 32, 36},      {10, "Q2_K", 256, 84},
    {11, "Q3_K", 256, 110},   {12, "Q4_K", 256, 144},   {13, "Q5_K", 256, 176},
    {14, "Q6_K", 256, 210},   {15, "Q8_K", 256, 292},   {16, "IQ2_XXS", 256, 66},
    {17, "IQ2_XS", 256, 74},  {18, "IQ3_XXS", 256, 98}, {19, "IQ1_S", 256, 50},
    {20, "IQ4_NL", 32, 18},   {21, "IQ3_S", 256, 110},  {22, "IQ2_S", 256, 82},
    {23, "IQ4_XS", 256, 136}, {24, "I8", 1, 1},         {25, "I16", 1, 2},
    {26, "I32", 1, 4},        {27, "I64", 1, 8},        {28, "F64", 1, 8},
    {29, "IQ1_M", 256, 56},   {30, "BF16", 1, 2},       {34, "TQ1_0", 256, 54},
    {35, "TQ2_0", 256, 66},   {39, "MXFP4", 32, 17},    {40, "NVFP4", 64, 36},
    {41, "Q1_0", 128, 18},    {42, "Q2_0", 64, 18},
});
static_assert(std::ranges::is_sorted(kTypes, {}, &GgmlType::id));

// llama.h, enum llama_ftype; empty where withdrawn.
constexpr auto kFileTypes = std::to_array<std::string_view>({
    "F32",   "F16",     "Q4_0",   "Q4_1",   "",       "",        "",       "Q8_0",   "Q5_0",
    "Q5_1",  "Q2_K",    "Q3_K_S", "Q3_K_M", "Q3_K_L", "Q4_K_S",  "Q4_K_M", "Q5_K_S", "Q5_K_M",
    "Q6_K",  "IQ2_XXS", "IQ2_XS", "Q2_K_S", "IQ3_XS", "IQ3_XXS", "IQ1_S",  "IQ4_NL", "IQ3_S",
    "IQ3_M", "IQ2_S",   "IQ2_M",  "IQ4_XS", "IQ1_M",  "BF16",    "",       "",       "",
    "TQ1_0", "TQ2_0",   "MXFP4",  "NVFP4",  "Q1_0",   "Q2_0",
});
static_assert(kFileTypes[15] == "Q4_K_M" && kFileTypes[32] == "BF16" && kFileTypes[41] == "Q2_0");

constexpr std::uint64_t kGuessed = 1024;  // a flag: the type was guessed from the tensors

}  // namespace

const GgmlType* ggml_type(std::uint32_t id) {
  const auto* found = std::ranges::lower_bound(kTypes, id, {}, &GgmlType::id);
  return found == kTypes.end() || found->id != id ? nullptr : found;
}

std::string_view file_type_name(std::uint64_t file_type) {
  file_type &= ~kGuessed;
  return file_type < kFileTypes.size() ? kFileTypes[file_type] : std::string_view{};
}

}  // namespace berth::formats
