// bench_download: downloads one file with sources::download, as Berth does it.
//
//   bench_download URL PATH SIZE SHA256    prints the most memory that it had, in KiB
#include "sources/download/download.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>

namespace {

using namespace berth;

// Of this process, in KiB; 0 where the kernel does not say.
unsigned long most_memory() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("VmHWM:")) return std::strtoul(line.c_str() + 6, nullptr, 10);
  }
  return 0;
}

Result<sources::Downloaded> run(char** argv) {
  BERTH_TRY(auto address, sources::parse_address(argv[1]));
  return sources::download({.address = std::move(address),
                            .path = argv[2],
                            .size = {std::strtoull(argv[3], nullptr, 10)},
                            .digest = {.kind = sources::DigestKind::sha256, .hex = argv[4]},
                            .etag = "",
                            .commit = ""});
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fputs("usage: bench_download URL PATH SIZE SHA256\n", stderr);
    return 2;
  }
  const auto done = run(argv);
  if (!done) {
    std::fprintf(stderr, "%s\n", done.error().to_string().c_str());
    return 1;
  }
  std::printf("%lu\n", most_memory());
  return 0;
}
