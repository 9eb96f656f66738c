#include "worker/packs.h"

#include "engines/finder.h"
#include "worker/system_facts.h"

#include <algorithm>
#include <cstdlib>

namespace berth::worker {
namespace {

std::string search_path() {
  const char* path = std::getenv("PATH");
  return path == nullptr ? "/usr/local/bin:/usr/bin:/bin" : path;
}

}  // namespace

Result<std::unique_ptr<Packs>> Packs::open(const DataFolder& data,
                                           std::function<void()> on_change) {
  BERTH_TRY(auto catalogue, engines::load_catalogue(data.root));
  std::unique_ptr<Packs> packs(new Packs(data, std::move(catalogue), std::move(on_change)));
  packs->installer_.sweep();
  packs->look();
  return packs;
}

Packs::Packs(const DataFolder& data, engines::Catalogue catalogue, std::function<void()> on_change)
    : data_(data),
      catalogue_(std::move(catalogue)),
      installer_({.data_dir = data.root, .environment = current_environment()}),
      on_change_(std::move(on_change)) {}

void Packs::look() {
  auto found =
      engines::find_packs(catalogue_, {.data_dir = data_.root, .search_path = search_path()});
  const std::scoped_lock lock(mutex_);
  for (auto& status : found.packs) {
    // What the folder can not tell: that an installation is under way.
    for (const auto& known : statuses_) {
      const bool same = known.pack.name == status.pack.name;
      if (same && known.state == model::PackState::installing &&
          status.state == model::PackState::available) {
        status = known;
      }
    }
  }
  statuses_ = std::move(found.packs);
  warnings_ = std::move(found.warnings);
}

std::vector<model::PackStatus> Packs::list() const {
  const std::scoped_lock lock(mutex_);
  return statuses_;
}

std::vector<std::string> Packs::warnings() const {
  const std::scoped_lock lock(mutex_);
  return warnings_;
}

void Packs::show_progress(const std::string& name, const engines::InstallProgress& progress) {
  {
    const std::scoped_lock lock(mutex_);
    for (auto& status : statuses_) {
      if (status.pack.name != name) continue;
      status.state = model::PackState::installing;
      status.step = progress.step;
      status.progress = progress.fraction;
      status.reason.clear();
    }
  }
  on_change_();
}

void Packs::show_failure(const std::string& name, const Error& error) {
  {
    const std::scoped_lock lock(mutex_);
    for (auto& status : statuses_) {
      if (status.pack.name != name) continue;
      status.state = model::PackState::failed;
      status.step.clear();
      status.progress.reset();
      status.reason = error.to_string();
    }
  }
  on_change_();
}

void Packs::look_again(const std::string& name) {
  {
    const std::scoped_lock lock(mutex_);
    std::erase_if(statuses_, [&](const auto& known) { return known.pack.name == name; });
  }
  look();
  on_change_();
}

std::optional<model::PackStatus> Packs::installed(const std::string& name) const {
  const std::scoped_lock lock(mutex_);
  for (const auto& status : statuses_) {
    if (status.pack.name == name && status.state == model::PackState::installed) return status;
  }
  return std::nullopt;
}

Result<model::PackStatus> Packs::ensure(const std::string& name, std::stop_token stop) {
  if (auto status = installed(name)) return *std::move(status);
  return install(name, std::move(stop));
}

Result<model::PackStatus> Packs::renew(const std::string& name, const engines::PackInUse& in_use,
                                       std::stop_token stop) {
  const auto status = installed(name);
  if (!status || !status->outdated) return ensure(name, std::move(stop));
  const engines::InstalledPack there{.name = name,
                                     .version = status->pack.version,
                                     .folder = status->folder,
                                     .size = status->size};
  if (in_use(there)) {
    return fail(ErrorCode::conflict,
                "the engine pack {} is in use; remove the models that run on it first", name);
  }
  return install(name, std::move(stop));
}

Result<model::PackStatus> Packs::install(const std::string& name, std::stop_token stop) {
  const auto* entry = catalogue_.find(name);
  if (entry == nullptr) {
    return fail(ErrorCode::not_found, "this worker knows no engine pack named \"{}\"", name);
  }
  show_progress(name, {.step = "waiting", .fraction = 0.0});
  auto status = installer_.install(
      *entry, [&](const engines::InstallProgress& progress) { show_progress(name, progress); },
      std::move(stop));
  if (!status) {
    // Cancelled is no failure of the pack; whoever else waits for it shows its progress anew.
    if (status.error().code == ErrorCode::cancelled)
      look_again(name);
    else
      show_failure(name, status.error());
    return fail(std::move(status).error().context("installing the engine pack {}", name));
  }
  look_again(name);
  return status;
}

Result<void> Packs::remove(const std::string& name, const engines::PackInUse& in_use) {
  auto removed = installer_.remove(name, "", in_use);
  look();
  on_change_();
  if (!removed) return fail(std::move(removed).error());
  return {};
}

Result<void> Packs::carry_out(const model::PackRequest& request, const engines::PackInUse& in_use,
                              std::stop_token stop) {
  if (!request.wanted) return remove(request.pack, in_use);
  BERTH_CHECK(renew(request.pack, in_use, std::move(stop)));
  return {};
}

}  // namespace berth::worker
