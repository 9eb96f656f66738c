#include "deployment_files.h"

#include "base/files.h"
#include "sources/local.h"
#include "text/deployment_file.h"

#include <filesystem>
#include <iostream>
#include <iterator>
#include <map>

#include <fmt/format.h>

namespace berth::app {
namespace {

constexpr Bytes kLargestFile = 4_MiB;
// Reading the header of a model on a slow disk.
constexpr std::chrono::minutes kPatience{5};

struct PutAnswer {
  std::string name;
  std::string outcome;
  bool replaces_instances = false;
  model::Deployment deployment;
  std::string read_by;
};
BOOST_DESCRIBE_STRUCT(PutAnswer, (), (name, outcome, replaces_instances, deployment, read_by))

struct ModelAnswer {
  model::Deployment deployment;
  std::uint64_t revision = 0;
};
BOOST_DESCRIBE_STRUCT(ModelAnswer, (), (deployment, revision))

Result<std::filesystem::path> current_folder() {
  std::error_code error;
  auto folder = std::filesystem::current_path(error);
  if (error) return fail(ErrorCode::io, "the current folder is unknown: {}", error.message());
  return folder;
}

Result<std::vector<model::Deployment>> read_one(const std::string& file) {
  BERTH_TRY(const auto here, current_folder());
  if (file == "-") {
    const std::string content{std::istreambuf_iterator<char>(std::cin),
                              std::istreambuf_iterator<char>()};
    return read_deployment_text(content, "standard input", here.string());
  }
  BERTH_TRY(const std::string content, read_file(file, kLargestFile));
  const auto folder = (here / file).parent_path();
  return read_deployment_text(content, file, folder.lexically_normal().string());
}

}  // namespace

Result<std::vector<model::Deployment>> read_deployment_text(std::string_view content,
                                                            std::string_view file,
                                                            const std::string& folder) {
  BERTH_TRY(auto deployments, text::read_deployments(content, file));
  for (auto& deployment : deployments) {
    auto source = sources::normalise_model(deployment.source, folder);
    if (!source) {
      return fail(std::move(source).error().context("{}: the source of {}", file, deployment.name));
    }
    deployment.source = *std::move(source);
  }
  return deployments;
}

Result<std::vector<FileDeployment>> read_deployment_files(const std::vector<std::string>& files) {
  std::vector<FileDeployment> all;
  std::map<std::string, std::string> file_of;
  for (const auto& file : files) {
    BERTH_TRY(auto deployments, read_one(file));
    for (auto& deployment : deployments) {
      const auto [other, is_new] = file_of.try_emplace(deployment.name, file);
      if (!is_new) {
        return fail(make_error(ErrorCode::invalid_parameter,
                               "a deployment named \"{}\" is in {} and in {}; keep one of them",
                               deployment.name, other->second, file)
                        .with_field("name"));
      }
      all.push_back(
          {.deployment = std::move(deployment), .file = file == "-" ? "standard input" : file});
    }
  }
  return all;
}

Result<std::optional<InForce>> find_in_force(const ApiClient& client, const std::string& name) {
  auto answer = client.get(model_target(name));
  if (!answer && answer.error().code == ErrorCode::not_found) return std::optional<InForce>();
  if (!answer) return fail(std::move(answer).error());
  BERTH_TRY(auto model, read_answer<ModelAnswer>(*answer));
  return std::optional<InForce>(
      {.deployment = std::move(model.deployment), .revision = model.revision});
}

Result<PutView> put_deployment(const ApiClient& client, const model::Deployment& deployment,
                               const std::optional<InForce>& before, PutMode mode) {
  net::Headers headers;
  if (before)
    headers.set("if-match", fmt::format("\"{}\"", before->revision));
  else
    headers.set("if-none-match", "*");
  const std::string target =
      model_target(deployment.name) + (mode == PutMode::check ? "?dry_run=true" : "");
  BERTH_TRY(const auto answer,
            client.put(target, to_json(deployment, Secrets::show), std::move(headers), kPatience));
  BERTH_TRY(auto read, read_answer<PutAnswer>(answer));
  return PutView{.name = std::move(read.name),
                 .outcome = std::move(read.outcome),
                 .replaces_instances = read.replaces_instances,
                 .deployment = std::move(read.deployment),
                 .read_by = std::move(read.read_by),
                 .answer = answer.get_object()};
}

}  // namespace berth::app
