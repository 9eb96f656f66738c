#include "server/worker_documents.h"

#include "model/instance.h"

#include <utility>

namespace berth::server {

bool is_for(const json::object& document, std::string_view worker) {
  const auto* owner = document.if_contains("worker");
  return owner != nullptr && owner->is_string() && owner->get_string() == worker;
}

Result<const WorkerDocuments::Workers*> WorkerDocuments::now() {
  Result<void> read = watch_ ? read_changes() : read_all();
  if (!read && read.error().code == ErrorCode::gone) read = read_all();
  if (!read) {
    watch_.reset();  // some of the changes may have been taken in
    return fail(std::move(read).error());
  }
  return &workers_;
}

Result<void> WorkerDocuments::read_all() {
  watch_.reset();
  BERTH_TRY(auto listing, store::list_as<model::Worker>(store_, model::kWorkerKind));
  workers_.clear();
  for (auto& item : listing.items) workers_.emplace(item.name, std::move(item.value));
  watch_ = store_.watch({std::string(model::kWorkerKind)}, listing.revision, {});
  return {};
}

Result<void> WorkerDocuments::read_changes() {
  for (bool more = true; more;) {
    BERTH_TRY(const auto changes, watch_->next());
    more = changes.more;
    for (const auto& change : changes.changes) {
      if (change.type == store::ChangeType::remove) {
        workers_.erase(change.name);
        continue;
      }
      BERTH_TRY(workers_[change.name],
                store::read_as<model::Worker>(change.kind, change.name, change.data));
    }
  }
  return {};
}

}  // namespace berth::server
