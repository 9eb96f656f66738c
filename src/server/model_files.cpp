#include "server/model_files.h"

#include "server/judges.h"
#include "sources/address.h"
#include "sources/local_model.h"
#include "sources/remote_profile.h"
#include "store/typed.h"

#include <algorithm>
#include <tuple>

#include <spdlog/spdlog.h>

namespace berth::server {
namespace {

// Below what clients wait for.
constexpr std::chrono::seconds kAddressPatience(60);

Result<model::ComputeTable> ask_to_judge(const ServerContext& context, const model::Worker& worker,
                                         const cluster::JudgeRequest& what) {
  BERTH_TRY(const auto response, context.caller.ask(worker, "/worker/v1/judge",
                                                    to_json(what, Secrets::hide), context.ending));
  return read_answer<model::ComputeTable>(response);
}

Result<sources::LocalModel> ask(const ServerContext& context, const model::Worker& worker,
                                const std::filesystem::path& path) {
  const auto response =
      context.caller.ask(worker, "/worker/v1/profile?path=" + net::percent_encode(path.string()));
  // The local worker's disk is the server's: where the worker is between two lives, the server
  // reads.
  if (!response && worker.local) return sources::profile_local(path);
  if (!response) return fail(response.error());
  return read_answer<sources::LocalModel>(*response);
}

// The ready workers, the local ones first. Fails where `only` is not among them.
Result<std::vector<model::Worker>> workers_to_ask(ServerContext& context,
                                                  const std::optional<std::string>& only) {
  BERTH_TRY(auto stored, store::list_as<model::Worker>(context.store, model::kWorkerKind));
  std::vector<model::Worker> workers;
  const model::Worker* named = nullptr;
  for (const auto& item : stored.items) {
    if (only && item.name == *only) named = &item.value;
    const bool is_meant = !only || item.name == *only;
    if (is_meant && item.value.state == model::WorkerState::ready) workers.push_back(item.value);
  }
  if (only && named == nullptr) {
    return fail(make_error(ErrorCode::not_found,
                           "there is no worker named \"{}\"; see berth workers", *only)
                    .with_field("worker"));
  }
  if (only && workers.empty()) {
    return fail(
        make_error(ErrorCode::unavailable, "the worker {} is not ready: {}", *only, named->reason)
            .with_field("worker"));
  }
  std::sort(workers.begin(), workers.end(), [](const auto& a, const auto& b) {
    return std::tie(b.local, a.name) < std::tie(a.local, b.name);
  });
  return workers;
}

Error sum_up(const std::filesystem::path& path, const std::vector<model::Worker>& workers,
             std::vector<Error> errors) {
  if (errors.size() == 1) {
    return std::move(errors.front())
        .context("{} was looked up on the worker {}", path.string(), workers.front().name)
        .with_field("source");
  }
  // A file that is there and broken says more than one that is elsewhere.
  Error sum = make_error(ErrorCode::not_found, "no worker can read {}", path.string());
  for (std::size_t i = 0; i < errors.size(); ++i) {
    if (sum.code == ErrorCode::not_found) sum.code = errors[i].code;
    if (!sum.causes.empty()) sum.causes.back() += ";";
    sum.causes.push_back(fmt::format("{}: {}", workers[i].name, errors[i].to_string()));
  }
  sum.causes = {fmt::format("{}", fmt::join(sum.causes, " "))};
  return std::move(sum).with_field("source");
}

}  // namespace

Result<FoundModel> find_model(ServerContext& context, const std::filesystem::path& path,
                              const std::optional<std::string>& only) {
  BERTH_TRY(const auto workers, workers_to_ask(context, only));
  std::vector<Error> errors;
  for (const auto& worker : workers) {
    auto found = ask(context, worker, path);
    if (found) {
      return FoundModel{
          .profile = std::move(found->profile), .path = std::move(found->path), .worker = worker};
    }
    errors.push_back(std::move(found).error());
  }
  if (!errors.empty()) return fail(sum_up(path, workers, std::move(errors)));
  auto found = sources::profile_local(path);
  if (!found) {
    return fail(std::move(found)
                    .error()
                    .context("{} was looked up on the server's machine, since no worker is ready",
                             path.string())
                    .with_field("source"));
  }
  return FoundModel{
      .profile = std::move(found->profile), .path = std::move(found->path), .worker = std::nullopt};
}

model::ComputeTable judge_model(ServerContext& context, const FoundModel& found,
                                const cluster::JudgeRequest& request) {
  if (!found.worker) return {};
  auto table = ask_to_judge(context, *found.worker, request);
  if (table) return *std::move(table);
  if (context.ending.stop_requested()) return {};
  // The query of an address may hold a signature.
  const auto address = sources::parse_address(request.deployment.source);
  spdlog::warn("{} was not judged by the worker {}: {}",
               address ? address->shown : request.deployment.source, found.worker->name,
               table.error().to_string());
  return {};
}

bool has_devices(ServerContext& context) {
  const auto stored = store::list_as<model::Worker>(context.store, model::kWorkerKind);
  return stored && std::ranges::any_of(stored->items, [](const auto& item) {
           return std::ranges::any_of(item.value.devices, [](const model::Device& device) {
             return device.kind != model::DeviceKind::cpu;
           });
         });
}

ModelEyes eyes_of(ServerContext& context) {
  return {
      .find = [&context](const std::filesystem::path& path) { return find_model(context, path); },
      .find_on_hub = [&context](const std::string& name) { return find_model_at(context, name); },
      .judge =
          [&context](const FoundModel& found, cluster::JudgeRequest request) {
            request.devices = has_devices(context);
            return judge_found(context, found, std::move(request));
          }};
}

Result<FoundModel> find_model_at(ServerContext& context, const std::string& source) {
  sources::RangeOptions options;
  options.http.total = kAddressPatience;
  options.http.stop = context.ending;
  auto found = sources::profile_remote(source, options);
  if (!found) {
    Error error = std::move(found).error();
    if (error.code == ErrorCode::unauthenticated) error.code = ErrorCode::permission_denied;
    return fail(std::move(error).with_field("source"));
  }
  return FoundModel{.profile = std::move(found->profile),
                    .worker = std::nullopt,
                    .hub = std::move(found->choice),
                    .files = std::move(found->files)};
}

}  // namespace berth::server
