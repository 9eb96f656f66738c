#include "backends/assumed_packs.h"

#include "backends/backend.h"

#include <algorithm>
#include <iterator>

namespace berth::backends {
namespace {

struct Runtimes {
  std::string_view backend;
  std::vector<std::string> kinds;
  std::string_view program;
};

std::vector<Runtimes> runtimes() {
  return {
      {"llama-box",
       {"cpu", "cuda", "rocm", "vulkan", "metal", "cann", "musa", "sycl", "dtk", "corex", "mlu"},
       "llama-server"},
      {"vllm", {"cuda", "rocm"}, "vllm"},
      {"vox-box", {"cpu", "cuda"}, "vox-box"},
      {"ascend-mindie", {"cann"}, "mindieservice_daemon"},
  };
}

}  // namespace

std::vector<model::EnginePack> assumed_packs() {
  std::vector<model::EnginePack> packs;
  const auto table = runtimes();
  for (const auto* backend : builtin_backends().all()) {
    const auto& descriptor = backend->descriptor();
    const auto row = std::ranges::find(table, descriptor.name, &Runtimes::backend);
    if (row == table.end()) continue;
    packs.push_back({.name = fmt::format("assumed-{}", descriptor.name),
                     .engine = std::string(descriptor.engines.front()),
                     .backend = std::string(descriptor.name),
                     .kind = model::PackKind::system,
                     .runtimes = row->kinds,
                     .program = {std::string(row->program)},
                     .api_key_env = descriptor.name == "llama-box" ? "LLAMA_API_KEY" : "",
                     .health_path = "/health"});
  }
  return packs;
}

}  // namespace berth::backends
