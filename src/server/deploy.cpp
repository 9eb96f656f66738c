#include "server/deploy.h"

#include "backends/check.h"
#include "formats/profile.h"
#include "sources/local.h"

namespace berth::server {
namespace {

// What instances are made from; a difference here replaces them.
json::object engine_relevant(model::Deployment deployment) {
  deployment.replicas = 0;
  deployment.update = {};
  deployment.restart = {};
  deployment.placement = {};
  return to_json(deployment, Secrets::show).get_object();
}

}  // namespace

Result<model::Model> accept_deployment(const model::Deployment& deployment,
                                       const backends::Registry& backends, const Clock& clock) {
  BERTH_CHECK(model::validate(deployment));
  model::Model model{.deployment = deployment};
  auto path = sources::normalise_source(deployment.source, "/");
  const bool is_relative =
      path && !deployment.source.starts_with('/') && !deployment.source.starts_with("file:");
  if (is_relative) {
    return fail(make_error(ErrorCode::invalid_parameter,
                           "source must be an absolute path on the server's machine (got {})",
                           deployment.source)
                    .with_field("source"));
  }
  if (!path) return fail(std::move(path).error().with_field("source"));
  model.deployment.source = path->string();
  auto profile = formats::profile_path(*path);
  if (!profile) return fail(std::move(profile).error().with_field("source"));
  model.profile = std::move(*profile);
  // What the user says of a model's purpose counts more than what its files say.
  if (!deployment.categories.empty()) model.profile.category = deployment.categories.front();
  BERTH_TRY(const auto choice,
            backends::choose_backend(backends, model.profile, deployment.backend));
  model.backend = std::string(choice.backend->descriptor().name);
  model.backend_reason = choice.reason;
  BERTH_TRY(auto checked,
            backends::check_deployment(*choice.backend, model.deployment, model.profile));
  model.warnings = std::move(checked.warnings);
  model.created_at = to_rfc3339(clock.system_now());
  return model;
}

Result<model::Model> accept_edit(const model::Model& before, const model::Deployment& deployment,
                                 const backends::Registry& backends) {
  if (deployment.name != before.deployment.name) {
    return fail(make_error(ErrorCode::invalid_parameter,
                           "name can not be changed; deploy \"{}\" beside it and remove this one",
                           deployment.name)
                    .with_field("name"));
  }
  if (engine_relevant(deployment) == engine_relevant(before.deployment)) {
    BERTH_CHECK(model::validate(deployment));
    model::Model after = before;  // the files were read when they were deployed
    after.deployment = deployment;
    return after;
  }
  BERTH_TRY(model::Model after, accept_deployment(deployment, backends, real_clock()));
  after.created_at = before.created_at;
  after.deleting = before.deleting;
  after.generation = before.generation + 1;
  return after;
}

}  // namespace berth::server
