#include "store/store.h"

#include <algorithm>
#include <utility>

namespace berth::store {

bool Scope::has_kind(std::string_view kind) const {
  return kinds.empty() || std::find(kinds.begin(), kinds.end(), kind) != kinds.end();
}

bool Scope::covers(std::string_view kind, const json::object& data) const {
  if (!has_kind(kind)) return false;
  if (field.empty()) return true;
  const auto* text = data.if_contains(field);
  return text != nullptr && text->is_string() && text->get_string() == value;
}

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
