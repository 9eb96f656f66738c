#include "worker/judging.h"

#include "engines/runtime.h"

#include <algorithm>
#include <utility>

namespace berth::worker {
namespace {

// Larger than any: what fits is asked elsewhere.
constexpr Bytes kPlenty{1ULL << 50U};

// ggml lays out the buffers of these devices alike.
constexpr std::string_view kStandIn = "cuda";

struct Asking {
  const Scales& scales;
  const backends::Backend& backend;
  const backends::ParsedParameters& parameters;
  const cluster::JudgeRequest& request;
  AbsentModel* absent = nullptr;  // of which the request is
};

// The command line of the engine for this layout, with the judge in the program's place.
Result<std::vector<std::string>> command_of(const Asking& asking,
                                            const backends::LayoutQuestion& question) {
  model::Placement placement{.worker = asking.scales.worker.name};
  BERTH_TRY(placement.claim, asking.backend.estimate({.profile = asking.request.profile,
                                                      .parameters = asking.parameters,
                                                      .serving = question.serving,
                                                      .devices = question.devices,
                                                      .cores = asking.scales.worker.system.cores}));
  model::EnginePack judge = asking.scales.pack.pack;
  judge.program = judge.judge;
  BERTH_TRY(auto plan, asking.backend.launch(
                           {.deployment = asking.request.deployment,
                            .profile = asking.request.profile,
                            .placement = placement,
                            .serving = question.serving,
                            .pack = judge,
                            .pack_folder = asking.scales.pack.folder,
                            .pack_python = engines::pack_python(asking.scales.pack.folder).string(),
                            .worker = asking.scales.worker,
                            .instance = asking.request.deployment.name,
                            .folder = "/",
                            .engine_key = "",
                            .ports = std::vector<std::uint16_t>(asking.backend.ports("main"), 1)}));
  return std::move(plan.argv);
}

engines::JudgeQuestion question_of(const Asking& asking, std::vector<std::string> argv,
                                   const backends::LayoutQuestion& layout) {
  engines::JudgeQuestion question{.argv = std::move(argv), .build = asking.scales.pack.pack.build};
  for (const auto& share : layout.devices) {
    question.devices.push_back({share.device, std::string(kStandIn), kPlenty});
  }
  const auto add = [&](const std::filesystem::path& path) {
    const bool is_absent = asking.absent != nullptr && asking.absent->contains(path);
    if (!is_absent) question.files.push_back(path);
  };
  const std::filesystem::path source(asking.request.deployment.source);
  for (const auto& file : asking.request.profile.files) {
    const std::filesystem::path path(file.path);
    add(path.is_absolute() ? path : source / path);
  }
  // The model itself, its projector and whatever else the flags name.
  for (const auto& word : question.argv) {
    if (word.starts_with('/')) add(word);
  }
  return question;
}

Result<engines::Judgement> judgement_of(const Asking& asking, engines::JudgeQuestion question) {
  const auto& scales = asking.scales;
  if (asking.absent != nullptr) {
    BERTH_TRY(question.contents, asking.absent->contents(question.argv));
    if (auto known = scales.judge.known(question)) return *std::move(known);
    BERTH_CHECK(asking.absent->fetch(question.argv));
  }
  return scales.judge.ask(question, scales.timeout, scales.stop);
}

backends::LayoutAnswer answer_of(const engines::Judgement& judgement) {
  backends::LayoutAnswer answer;
  for (const auto& device : judgement.devices) {
    answer.devices.push_back({.weights = device.weights,
                              .kv_cache = device.kv_cache,
                              .compute = device.compute,
                              .projector = device.projector});
  }
  answer.host = answer.devices.back();
  answer.devices.pop_back();
  return answer;
}

Result<model::ComputeTable> judge(const Scales& scales, const cluster::JudgeRequest& request,
                                  AbsentModel* absent) {
  const auto* backend = scales.backends.find(request.backend);
  if (backend == nullptr) {
    return fail(ErrorCode::unsupported, "this worker has no backend named {}", request.backend);
  }
  BERTH_TRY(const auto parameters,
            backends::parse_parameters(backend->descriptor(), request.deployment.parameters));
  const Asking asking{scales, *backend, parameters, request, absent};
  model::ComputeTable table{.build = scales.pack.pack.build};
  for (const auto& layout :
       backend->layout_questions(request.profile, parameters, request.devices)) {
    BERTH_TRY(auto argv, command_of(asking, layout));
    BERTH_TRY(const auto judgement,
              judgement_of(asking, question_of(asking, std::move(argv), layout)));
    const auto figures = backend->compute_figures(request.profile, layout, answer_of(judgement));
    table.figures.insert(table.figures.end(), figures.begin(), figures.end());
  }
  return table;
}

}  // namespace

const model::PackStatus* find_judge(const std::vector<model::PackStatus>& packs,
                                    std::string_view backend) {
  const auto found = std::ranges::find_if(packs, [&](const model::PackStatus& status) {
    return status.state == model::PackState::installed && status.pack.backend == backend &&
           !status.pack.judge.empty();
  });
  return found == packs.end() ? nullptr : &*found;
}

Result<model::ComputeTable> judge_model(const Scales& scales,
                                        const cluster::JudgeRequest& request) {
  return judge(scales, request, nullptr);
}

Result<model::ComputeTable> judge_absent(const Scales& scales, AbsentModel& model) {
  return judge(scales, model.request(), &model);
}

}  // namespace berth::worker
