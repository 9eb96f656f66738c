// For tests and benchmarks of the gateway: a gateway over a database of its own, with one model
// whose instances are wherever the caller says.
#pragma once

#include "base/ids.h"
#include "gateway/gateway.h"
#include "model/instance.h"
#include "server/access.h"
#include "store/sqlite_store.h"
#include "store/typed.h"

#include <chrono>
#include <filesystem>
#include <memory>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

namespace berth::gateway {

// Throws where something can not be set up.
class TestGateway {
 public:
  // A model named "m" of `backend`, with one ready instance for each of `engines`.
  TestGateway(const std::string& backend, const std::vector<net::Endpoint>& engines,
              const model::ModelProfile& profile = {}, std::uint32_t slots = 4096)
      : folder_(std::filesystem::temp_directory_path() / ("berth-gateway-" + random_id())) {
    std::filesystem::create_directory(folder_);
    auto opened = store::open_sqlite(folder_ / "berth.db", {.survive_power_loss = false});
    store_ = std::move(must(opened));
    access_ = std::make_unique<server::Access>(*store_);
    auto made = access_->create("user", server::KeyRole::user);
    key_ = std::move(must(made));
    model::Model model;
    model.deployment.name = "m";
    model.backend = backend;
    model.profile = profile;
    put(model::kModelKind, "m", model);
    for (const auto& engine : engines) {
      model::Instance instance;
      instance.name = "m-" + std::to_string(engine.port);
      instance.model = "m";
      instance.state = model::InstanceState::ready;
      instance.host = engine.host;
      instance.port = engine.port;
      instance.engine_key = "engine-key";
      instance.serving = model::Serving{.context = 4096, .slots = slots};
      put(model::kInstanceKind, instance.name, instance);
    }
    gateway_ =
        std::make_unique<Gateway>(*store_, backends::builtin_backends(), *access_, real_clock());
  }
  TestGateway(const TestGateway&) = delete;
  TestGateway& operator=(const TestGateway&) = delete;
  ~TestGateway() {
    gateway_.reset();
    store_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }

  [[nodiscard]] const std::string& key() const { return key_; }
  [[nodiscard]] net::Router router() {
    net::Router router;
    gateway_->add_routes(router);
    return router;
  }

 private:
  template <class T>
  static T& must(Result<T>& result) {
    if (!result) throw std::runtime_error(result.error().to_string());
    return *result;
  }

  template <class T>
  void put(std::string_view kind, const std::string& name, const T& value) {
    auto written = store::put_new(*store_, kind, name, value);
    must(written);
  }

  std::filesystem::path folder_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<server::Access> access_;
  std::string key_;
  std::unique_ptr<Gateway> gateway_;
};

}  // namespace berth::gateway
