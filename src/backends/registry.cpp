#include "backends/backend.h"

#include <algorithm>
#include <array>

namespace berth::backends {
namespace {

std::string names(const Registry& registry) {
  std::vector<std::string_view> list;
  for (const auto* backend : registry.all()) list.push_back(backend->descriptor().name);
  return fmt::format("{}", fmt::join(list, ", "));
}

tl::unexpected<Error> no_such_backend(const Registry& registry, const std::string& wish) {
  return fail(Error{
      .code = ErrorCode::invalid_parameter,
      .message = fmt::format("backend \"{}\" is not known; there are {}", wish, names(registry)),
      .field = "backend"});
}

Result<BackendChoice> choose_named(const Registry& registry, const model::ModelProfile& profile,
                                   const std::string& wish) {
  const auto* backend = registry.find(wish);
  if (backend == nullptr) return no_such_backend(registry, wish);
  auto matched = backend->match(profile);
  if (!matched) {
    return fail(std::move(matched)
                    .error()
                    .context("{} was asked for, but can not serve this model", wish)
                    .with_field("backend"));
  }
  return BackendChoice{backend, fmt::format("{} was asked for", wish), {}};
}

}  // namespace

const Backend* Registry::find(std::string_view name) const {
  for (const auto* backend : backends_) {
    if (backend->descriptor().name == name) return backend;
  }
  return nullptr;
}

Result<BackendChoice> choose_backend(const Registry& registry, const model::ModelProfile& profile,
                                     const std::optional<std::string>& wish) {
  if (wish) return choose_named(registry, profile, *wish);
  BackendChoice choice;
  for (const auto* backend : registry.all()) {
    const auto& descriptor = backend->descriptor();
    const auto matched = backend->match(profile);
    if (!matched) {
      choice.others.push_back(fmt::format("{} {}", descriptor.name, matched.error().message));
    } else if (descriptor.only_by_name) {
      choice.others.push_back(fmt::format("{} serves only where it is named", descriptor.name));
    } else if (choice.backend != nullptr) {
      choice.others.push_back(
          fmt::format("{} comes after {}", descriptor.name, choice.backend->descriptor().name));
    } else {
      choice.backend = backend;
      choice.reason = fmt::format("{}: {}", descriptor.name, backend->match_reason(profile));
    }
  }
  if (choice.backend != nullptr) return choice;
  Error error{.code = ErrorCode::unsupported, .message = "no backend can serve this model"};
  error.causes = std::move(choice.others);
  return fail(std::move(error));
}

}  // namespace berth::backends
