// A backend of two processes for the tests: "pair", whose main process needs a helper, on its own
// worker or on the one that --helper-on names. The program that it is linked into knows it beside
// the real ones.
#include "backends/environment.h"
#include "backends/llama_box/llama_box.h"

#include <utility>

namespace berth::backends {
namespace {

class Pair final : public Backend {
 public:
  Pair()
      : descriptor_{.name = "pair",
                    .text = "Two processes, for the tests.",
                    .engines = {"pair"},
                    .platforms = {"linux/amd64", "linux/arm64"},
                    .categories = {model::Category::llm},
                    .division = Division::layers,
                    .cpu_offload = true,
                    .several_workers = true,
                    .only_by_name = true,
                    .parameters = {{.flag = "--helper-on",
                                    .type = ParameterType::text,
                                    .text = "the helper's worker",
                                    .passed = false}}} {}

  [[nodiscard]] const BackendDescriptor& descriptor() const override { return descriptor_; }
  [[nodiscard]] Result<void> match(const model::ModelProfile&) const override { return {}; }
  [[nodiscard]] std::string match_reason(const model::ModelProfile&) const override {
    return "it was asked for";
  }
  [[nodiscard]] Result<model::Serving> serving(const model::ModelProfile&, const ParsedParameters&,
                                               bool) const override {
    return model::Serving{.context = 1024, .slots = 4};
  }
  [[nodiscard]] DeviceWish device_wish(const ParsedParameters&) const override {
    return {.layers = 0, .split = {}};
  }
  [[nodiscard]] Result<std::vector<std::string>> check(const model::ModelProfile&,
                                                       const ParsedParameters&) const override {
    return std::vector<std::string>{};
  }
  [[nodiscard]] Result<model::Claim> estimate(const EstimateRequest&) const override {
    return model::Claim{.devices = {{.device = "cpu", .runtime = 100_MiB}}, .layers = {}};
  }
  [[nodiscard]] std::vector<GangRole> roles(const model::Deployment& deployment,
                                            const model::Placement& placement) const override {
    std::string helper = placement.worker;
    if (const auto parameters = parse_parameters(descriptor_, deployment.parameters)) {
      if (const auto* given = parameters->find("--helper-on")) {
        helper = given->value.value_or(helper);
      }
    }
    return {{.role = "main", .worker = placement.worker, .after = {"helper"}},
            {.role = "helper", .worker = helper, .after = {}}};
  }
  [[nodiscard]] Result<model::LaunchPlan> launch(const LaunchContext& context) const override {
    const auto& own = context.gang->members.at(context.member);
    const auto& helper = context.gang->members.at(1);
    const bool is_near = helper.worker == context.placement.worker;
    const auto port = std::to_string(context.ports.front());
    model::LaunchPlan plan;
    plan.argv = context.pack.program;
    for (std::string word :
         {std::string("--role"), own.role, std::string("--port"), port, std::string("--host"),
          is_near ? std::string("127.0.0.1") : std::string("0.0.0.0")}) {
      plan.argv.push_back(std::move(word));
    }
    if (own.role == "main") {
      plan.argv.emplace_back("--peer");
      plan.argv.push_back(
          fmt::format("{}:{}", is_near ? "127.0.0.1" : helper.address, helper.ports.front()));
    }
    for (const auto& [name, value] : context.deployment.env) {
      plan.env.push_back({.name = name, .value = value, .owner = model::Owner::user});
    }
    plan.env.push_back({.name = "PATH", .value = "/usr/bin:/bin", .owner = model::Owner::system});
    plan.ports = context.ports;
    plan.probe = {.path = "/health", .port = context.ports.front()};
    if (own.role == "main") {
      plan.liveness = {.path = "/metrics", .port = context.ports.front(), .load = {"requests"}};
    }
    plan.stop_grace = std::chrono::seconds(2);
    return plan;
  }

 private:
  BackendDescriptor descriptor_;
};

}  // namespace

const Registry& builtin_backends() {
  static const llama_box::LlamaBox llama_box;
  static const Pair pair;
  static const Registry registry({&llama_box, &pair});
  return registry;
}

}  // namespace berth::backends
