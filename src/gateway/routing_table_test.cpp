#include "gateway/routing_table.h"

#include <gtest/gtest.h>

namespace berth::gateway {
namespace {

model::Model make_model(const std::string& name) {
  model::Model model;
  model.deployment.name = name;
  model.backend = "llama-box";
  return model;
}

model::Instance make_instance(const std::string& name, const std::string& worker) {
  model::Instance instance;
  instance.name = name;
  instance.model = "m";
  instance.generation = 2;
  instance.state = model::InstanceState::ready;
  instance.host = "127.0.0.1";
  instance.port = 20001;
  instance.engine_key = "engine-key";
  instance.placement = model::Placement{.worker = worker};
  return instance;
}

model::Worker make_worker(const std::string& name, bool local) {
  model::Worker worker;
  worker.name = name;
  worker.local = local;
  worker.address = "10.0.0.7:20000";
  return worker;
}

RouteSources sources() {
  RouteSources all;
  all.models = {make_model("m")};
  all.instances = {make_instance("m-here", "here"), make_instance("m-there", "there")};
  all.workers = {{"here", make_worker("here", true)}, {"there", make_worker("there", false)}};
  return all;
}

Routes routes_of(const RouteSources& from, const Routes& before = {}) {
  return make_routes(from, backends::builtin_backends(), before);
}

TEST(MakeRoutes, ReachesLocalEnginesStraightAndOthersByTheirProxy) {
  const Routes routes = routes_of(sources());
  const auto& ready = routes.at("m").ready;
  ASSERT_EQ(ready.size(), 2U);
  EXPECT_EQ(ready[0]->way, (EngineWay{{"127.0.0.1", 20001}, "", "engine-key", ""}));
  EXPECT_EQ(ready[1]->way, (EngineWay{{"10.0.0.7", 20000}, "/engines/m-there.2.0", "", "there"}));
  EXPECT_TRUE(ready[0]->api.learns_by_writing);
}

TEST(MakeRoutes, CanReachLocalEnginesByTheProxyToo) {
  auto from = sources();
  from.always_by_proxy = true;
  EXPECT_EQ(routes_of(from).at("m").ready[0]->way.prefix, "/engines/m-here.2.0");
}

TEST(MakeRoutes, AWorkerWithoutProxyIsTheReasonWhyNothingIsReady) {
  auto from = sources();
  from.instances.erase(from.instances.begin());
  from.workers["there"].address.clear();
  const Routes routes = routes_of(from);
  EXPECT_TRUE(routes.at("m").ready.empty());
  EXPECT_NE(routes.at("m").reason.find("proxy"), std::string::npos) << routes.at("m").reason;
}

TEST(MakeRoutes, KeepsTheTargetOfAnEngineThatIsTheSame) {
  const Routes before = routes_of(sources());
  auto from = sources();
  from.instances[1].generation = 3;
  const Routes after = routes_of(from, before);
  EXPECT_EQ(after.at("m").ready[0], before.at("m").ready[0]);
  EXPECT_NE(after.at("m").ready[1], before.at("m").ready[1]);
}

TEST(MakeRoutes, LeavesOutWhatIsBeingRemovedAndWhatDoesNotServe) {
  auto from = sources();
  from.instances[0].state = model::InstanceState::stopping;
  from.instances[1].state = model::InstanceState::starting;
  from.instances[1].reason = "loads the model";
  const Routes waiting = routes_of(from);
  EXPECT_TRUE(waiting.at("m").ready.empty());
  EXPECT_NE(waiting.at("m").reason.find("loads the model"), std::string::npos);
  from.models[0].deleting = true;
  EXPECT_TRUE(routes_of(from).empty());
}

}  // namespace
}  // namespace berth::gateway
