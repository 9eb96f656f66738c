#include "server/deploy.h"

#include "backends/check.h"
#include "server/rollout.h"
#include "sources/hub/name.h"
#include "sources/local.h"
#include "sources/local_model.h"

#include <algorithm>
#include <optional>

namespace berth::server {
namespace {

// With `source` as the path that it names, so that two ways to write it are the same.
Result<model::Deployment> normalised(model::Deployment deployment) {
  const auto source = sources::normalise_model(deployment.source, "/");
  if (!source) return fail(Error(source.error()).with_field("source"));
  const bool is_whole = deployment.source.starts_with('/') ||
                        deployment.source.starts_with("file:") ||
                        sources::is_hub_name(deployment.source);
  if (!is_whole) {
    return fail(make_error(ErrorCode::invalid_parameter,
                           "source must be an absolute path on a worker's machine, or name a model "
                           "on a hub such as hf:ORG/NAME (got {})",
                           deployment.source)
                    .with_field("source"));
  }
  deployment.source = *source;
  return deployment;
}

// The files less the projectors that the engine does not get.
model::RepositoryFiles needed(model::RepositoryFiles files, const model::ModelProfile& profile,
                              const model::Projector* projector) {
  std::erase_if(files.files, [&](const model::RepositoryFile& file) {
    if (projector != nullptr && file.path == projector->path) return false;
    return std::ranges::find(profile.projectors, file.path, &model::Projector::path) !=
           profile.projectors.end();
  });
  return files;
}

// Reads the model that `deployment` names, and puts the path that its glob matches in its place:
// what is stored names the same model tomorrow.
Result<FoundModel> find_source(model::Deployment& deployment, const ModelEyes& eyes) {
  auto found = sources::is_hub_name(deployment.source) ? eyes.find_on_hub(deployment.source)
                                                       : eyes.find(deployment.source);
  if (!found) return fail(std::move(found).error().with_field("source"));
  if (!found->path.empty()) deployment.source = found->path;
  return found;
}

Result<model::Model> accept(model::Deployment deployment, const FoundModel& found,
                            const backends::Registry& backends, const Clock& clock,
                            const ModelEyes& eyes, std::span<const std::string> allowed_env) {
  model::Model model{.deployment = std::move(deployment)};
  model.profile = found.profile;
  if (found.worker) model.read_by = found.worker->name;
  // What the user says of a model's purpose counts more than what its files say.
  const auto& wanted = model.deployment;
  if (!wanted.categories.empty()) model.profile.category = wanted.categories.front();
  BERTH_TRY(const auto choice, backends::choose_backend(backends, model.profile, wanted.backend));
  const auto& descriptor = choice.backend->descriptor();
  if (!descriptor.startable) {
    return fail(make_error(ErrorCode::unsupported,
                           "{} would serve this model ({}), but this version of Berth does not "
                           "start {} yet",
                           descriptor.name, choice.backend->match_reason(model.profile),
                           descriptor.name)
                    .with_field("backend"));
  }
  model.backend = std::string(descriptor.name);
  model.backend_reason = choice.reason;
  BERTH_TRY(auto checked,
            backends::check_deployment(*choice.backend, wanted, model.profile, allowed_env));
  model.warnings = std::move(checked.warnings);
  if (found.files) {
    BERTH_TRY(const auto* projector, choice.backend->projector(model.profile, checked.parameters));
    model.files = needed(*found.files, model.profile, projector);
    model.files->source = model.deployment.source;
  }
  model.compute =
      eyes.judge(found, {.deployment = wanted, .backend = model.backend, .profile = model.profile});
  model.created_at = to_rfc3339(clock.system_now());
  return model;
}

}  // namespace

Result<model::Model> accept_deployment(const model::Deployment& deployment,
                                       const backends::Registry& backends, const Clock& clock,
                                       const ModelEyes& eyes,
                                       std::span<const std::string> allowed_env) {
  BERTH_CHECK(model::validate(deployment));
  BERTH_TRY(auto wanted, normalised(deployment));
  BERTH_TRY(const auto found, find_source(wanted, eyes));
  BERTH_TRY(auto model, accept(std::move(wanted), found, backends, clock, eyes, allowed_env));
  begin_revision(model, nullptr, clock.system_now());
  return model;
}

Result<model::Model> accept_edit(const model::Model& before, const model::Deployment& deployment,
                                 const backends::Registry& backends, const Clock& clock,
                                 const ModelEyes& eyes, std::span<const std::string> allowed_env) {
  if (deployment.name != before.deployment.name) {
    return fail(make_error(ErrorCode::invalid_parameter,
                           "name can not be changed; deploy \"{}\" beside it and remove this one",
                           deployment.name)
                    .with_field("name"));
  }
  BERTH_CHECK(model::validate(deployment));
  BERTH_TRY(auto wanted, normalised(deployment));
  std::optional<FoundModel> found;
  // A glob is the same model as long as it matches the same path.
  if (sources::is_glob(wanted.source) && wanted.source != before.deployment.source) {
    BERTH_TRY(found, find_source(wanted, eyes));
  }
  if (is_same_revision(before.deployment, wanted)) {
    model::Model after = before;  // the files were read when they were deployed
    after.deployment = std::move(wanted);
    return after;
  }
  if (takes_back(before, wanted)) return take_back(before, wanted, clock.system_now());
  if (!found) {
    BERTH_TRY(found, find_source(wanted, eyes));
  }
  BERTH_TRY(model::Model after,
            accept(std::move(wanted), *found, backends, clock, eyes, allowed_env));
  after.created_at = before.created_at;
  after.deleting = before.deleting;
  begin_revision(after, &before, clock.system_now());
  return after;
}

}  // namespace berth::server
