// WorkerDocuments: the stored workers as values, for who looks at all of them again and again. Only
// those that changed are read anew.
#pragma once

#include "base/result.h"
#include "model/worker.h"
#include "store/store.h"
#include "store/typed.h"
#include "store/watch.h"

#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace berth::server {

// Whether a document is meant for the worker: its member "worker" says so.
[[nodiscard]] bool is_for(const json::object& document, std::string_view worker);

// Used by one thread at a time. Ends before the store does.
class WorkerDocuments {
 public:
  using Workers = std::map<std::string, model::Worker>;  // by name

  explicit WorkerDocuments(store::Store& store) : store_(store) {}

  // As they are now; lives until the next call. Blocks. Fails as store::list_as.
  Result<const Workers*> now();

 private:
  Result<void> read_all();
  Result<void> read_changes();

  store::Store& store_;
  Workers workers_;
  std::unique_ptr<store::Watch> watch_;  // from what `workers_` shows; null: nothing is read yet
};

}  // namespace berth::server
