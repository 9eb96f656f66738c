// Packs: the engine packs of this worker, what is being installed, and how far it is.
#pragma once

#include "base/data_folder.h"
#include "base/result.h"
#include "engines/catalogue.h"
#include "engines/installer.h"
#include "model/instance.h"

#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

namespace berth::worker {

// Thread-safe. Calls block unless said otherwise.
class Packs {
 public:
  // `on_change` is called, on whatever thread, when the list or a progress changed.
  static Result<std::unique_ptr<Packs>> open(const DataFolder& data,
                                             std::function<void()> on_change);

  // As of the last look; does not block.
  [[nodiscard]] std::vector<model::PackStatus> list() const;
  [[nodiscard]] std::vector<std::string> warnings() const;

  // The pack where it is ready to run; does not block.
  [[nodiscard]] std::optional<model::PackStatus> installed(const std::string& name) const;
  // The pack ready to run, installed first if need be. Fails with not_found for an unknown name,
  // else as Installer::install.
  Result<model::PackStatus> ensure(const std::string& name, std::stop_token stop);
  // As `ensure`, and installs one anew that is outdated. Fails with conflict while `in_use` says
  // that such a one is.
  Result<model::PackStatus> renew(const std::string& name, const engines::PackInUse& in_use,
                                  std::stop_token stop);
  // Fails with conflict while `in_use` says so, not_found if it is not installed.
  Result<void> remove(const std::string& name, const engines::PackInUse& in_use);
  // Removes or renews, as the request says.
  Result<void> carry_out(const model::PackRequest& request, const engines::PackInUse& in_use,
                         std::stop_token stop);

 private:
  Packs(const DataFolder& data, engines::Catalogue catalogue, std::function<void()> on_change);
  void look();
  Result<model::PackStatus> install(const std::string& name, std::stop_token stop);
  // As `look`, for a pack whose installation is over.
  void look_again(const std::string& name);
  void show_progress(const std::string& name, const engines::InstallProgress& progress);
  void show_failure(const std::string& name, const Error& error);

  DataFolder data_;
  engines::Catalogue catalogue_;
  engines::Installer installer_;
  std::function<void()> on_change_;
  mutable std::mutex mutex_;  // guards what is below
  std::vector<model::PackStatus> statuses_;
  std::vector<std::string> warnings_;
};

}  // namespace berth::worker
