// bench_gguf: the processor time that read_gguf takes for a header of 400 layers and 100,000
// tensors.
//
//   bench_gguf [ROUNDS]    prints the median, the least and the most, in milliseconds
#include "formats/gguf.h"
#include "formats/gguf_builder.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <vector>

namespace {

using namespace berth;

constexpr std::uint32_t kLayers = 400;
constexpr std::uint32_t kTensorsOfLayer = 250;
constexpr std::uint64_t kVocabulary = 32'000;
constexpr std::size_t kRounds = 51;

// Of this process, so that other programs are not counted.
double milliseconds() {
  timespec time{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) * 1e3 + static_cast<double>(time.tv_nsec) / 1e6;
}

}  // namespace

int main(int argc, char** argv) {
  const std::size_t rounds =
      argc > 1 ? std::max<std::size_t>(1, std::strtoul(argv[1], nullptr, 10)) : kRounds;
  formats::MemorySource source(formats::many_tensors(kLayers, kTensorsOfLayer)
                                   .string_list("tokenizer.ggml.tokens", kVocabulary)
                                   .build());
  std::vector<double> taken;
  for (std::size_t i = 0; i < rounds; ++i) {
    const double began = milliseconds();
    const auto file = formats::read_gguf(source, "bench.gguf");
    taken.push_back(milliseconds() - began);
    if (!file || file->tensors.size() != std::size_t{kLayers} * kTensorsOfLayer) {
      std::fputs("the header was not read\n", stderr);
      return 1;
    }
  }
  std::ranges::sort(taken);
  std::printf("%.2f %.2f %.2f\n", taken[taken.size() / 2], taken.front(), taken.back());
  return 0;
}
