#include "store/store.h"

#include <utility>

namespace berth::store {

Result<Revision> Store::put(std::string_view kind, std::string_view name, json::object data,
                            std::optional<Revision> expected) {
  std::vector<Write> writes;
  writes.push_back({std::string(kind), std::string(name), std::move(data), expected});
  BERTH_TRY(const auto revisions, commit(std::move(writes)));
  return revisions.front();
}

Result<Revision> Store::remove(std::string_view kind, std::string_view name,
                               std::optional<Revision> expected) {
  std::vector<Write> writes;
  writes.push_back({std::string(kind), std::string(name), std::nullopt, expected});
  BERTH_TRY(const auto revisions, commit(std::move(writes)));
  return revisions.front();
}

}  // namespace berth::store
