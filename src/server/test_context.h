// For tests: what handlers share, on a store in a folder that goes with it. Included by *_test.cpp
// only.
#pragma once

#include "server/context.h"
#include "store/sqlite_store.h"

#include <filesystem>
#include <memory>
#include <optional>
#include <string>

namespace berth::server::testing {

class TestContext {
 public:
  TestContext() {
    std::string name = (std::filesystem::temp_directory_path() / "berth-server-XXXXXX").string();
    folder_ = ::mkdtemp(name.data());
    store_ = store::open_sqlite(folder_ / "berth.db").value();
    access_.emplace(*store_);
    identity_ = ClusterIdentity::open({.root = folder_}, real_clock()).value();
    members_.emplace(*store_, *identity_, real_clock());
    control_.emplace(*store_, workers_, backends::builtin_backends(), real_clock());
    context_.emplace(ServerContext{.store = *store_,
                                   .pool = pool_,
                                   .files_pool = pool_,
                                   .access = *access_,
                                   .workers = workers_,
                                   .control = *control_,
                                   .watches = watches_,
                                   .backends = backends::builtin_backends(),
                                   .clock = real_clock(),
                                   .data = {.root = folder_},
                                   .version = "1.2.3",
                                   .started = real_clock().steady_now(),
                                   .members = *members_,
                                   .door = door_,
                                   .caller = caller_});
  }
  ~TestContext() {
    control_.reset();
    store_.reset();
    std::filesystem::remove_all(folder_);
  }
  TestContext(const TestContext&) = delete;
  TestContext& operator=(const TestContext&) = delete;

  ServerContext& operator*() { return *context_; }
  ServerContext* operator->() { return &*context_; }
  [[nodiscard]] const std::filesystem::path& folder() const { return folder_; }

 private:
  std::filesystem::path folder_;
  std::unique_ptr<store::Store> store_;
  net::ThreadPool pool_{1, 1};
  std::unique_ptr<ClusterIdentity> identity_;
  std::optional<Memberships> members_;
  ClusterDoor door_{{}};
  WorkerCaller caller_{[](const std::string&) { return net::TlsPeer{}; }};  // plain HTTP
  std::optional<Access> access_;
  WorkerRegistry workers_{real_clock()};
  WatchStreams watches_;
  std::optional<ControlLoop> control_;
  std::optional<ServerContext> context_;
};

}  // namespace berth::server::testing
