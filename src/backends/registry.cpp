#include "backends/backend.h"
#include "backends/llama_box/llama_box.h"

#include <algorithm>
#include <array>

namespace berth::backends {
namespace {

// Backends that the design knows and this version has not.
constexpr std::array<std::string_view, 3> kNotYet = {"vllm", "vox-box", "ascend-mindie"};

std::string names(const Registry& registry) {
  std::vector<std::string_view> list;
  for (const auto* backend : registry.all()) list.push_back(backend->descriptor().name);
  return fmt::format("{}", fmt::join(list, ", "));
}

tl::unexpected<Error> no_such_backend(const Registry& registry, const std::string& wish) {
  const bool planned = std::find(kNotYet.begin(), kNotYet.end(), wish) != kNotYet.end();
  return fail(Error{.code = ErrorCode::invalid_parameter,
                    .message = fmt::format("backend \"{}\" {}; there is {}", wish,
                                           planned ? "is not part of this version" : "is not known",
                                           names(registry)),
                    .field = "backend"});
}

}  // namespace

const Backend* Registry::find(std::string_view name) const {
  for (const auto* backend : backends_) {
    if (backend->descriptor().name == name) return backend;
  }
  return nullptr;
}

const Registry& builtin_backends() {
  static const llama_box::LlamaBox llama_box;
  static const Registry registry({&llama_box});
  return registry;
}

Result<BackendChoice> choose_backend(const Registry& registry, const model::ModelProfile& profile,
                                     const std::optional<std::string>& wish) {
  if (wish) {
    const auto* backend = registry.find(*wish);
    if (backend == nullptr) return no_such_backend(registry, *wish);
    auto matched = backend->match(profile);
    if (!matched) {
      return fail(std::move(matched)
                      .error()
                      .context("{} was asked for, but can not serve this model", *wish)
                      .with_field("backend"));
    }
    return BackendChoice{backend, fmt::format("{} was asked for", *wish)};
  }
  Error error{.code = ErrorCode::unsupported, .message = "no backend can serve this model"};
  for (const auto* backend : registry.all()) {
    const auto matched = backend->match(profile);
    if (matched) {
      return BackendChoice{backend, fmt::format("{}: {}", backend->descriptor().name,
                                                backend->match_reason(profile))};
    }
    error.causes.push_back(
        fmt::format("{} {}", backend->descriptor().name, matched.error().message));
  }
  return fail(std::move(error));
}

}  // namespace berth::backends
