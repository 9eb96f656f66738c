// berth-shim SPEC: owns one engine. Reads and removes the file SPEC (see process/shim_spec.h), runs
// the engine it describes and ends when nothing of the engine is left. Started by the agent in a
// session of its own; it outlives the agent.
#include "process/platform/process_info.h"
#include "process/shim_spec.h"
#include "supervisor.h"

#include <cstdio>
#include <string>
#include <sys/stat.h>

#include <unistd.h>

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: berth-shim SPEC\nOwns one engine; started by Berth's worker.\n", stderr);
    return 2;
  }
  ::close_range(3, ~0U, 0);
  ::umask(027);
  auto text = berth::process::platform::read_small_file(argv[1]);
  ::unlink(argv[1]);  // it holds secrets
  if (!text) {
    std::fprintf(stderr, "berth-shim: %s can not be read\n", argv[1]);
    return 2;
  }
  berth::process::ShimSpec spec;
  const std::string problem = berth::process::parse(*text, spec);
  if (!problem.empty()) {
    std::fprintf(stderr, "berth-shim: %s: %s\n", argv[1], problem.c_str());
    return 2;
  }
  text.reset();
  if (::chdir("/") != 0) return 2;
  return berth::shim::supervise(spec);
}
