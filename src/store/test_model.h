// For tests: what a store must do, as a map and a list that are too simple to be wrong.
#pragma once

#include "store/store.h"

#include <algorithm>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace berth::store {

struct Model {
  using Key = std::pair<std::string, std::string>;
  std::map<Key, Document> documents;
  std::vector<Change> log;  // all of them
  Revision compacted = 0;

  [[nodiscard]] Revision revision() const { return log.size(); }

  std::optional<ErrorCode> apply(const Write& write) {
    const Key key{write.kind, write.name};
    const auto found = documents.find(key);
    const Revision current = found == documents.end() ? 0 : found->second.revision;
    if (write.expected == Revision{0} && current != 0) return ErrorCode::already_exists;
    if (current == 0 && (!write.data || write.expected.value_or(0) != 0)) {
      return ErrorCode::not_found;
    }
    if (write.expected && *write.expected != current) return ErrorCode::conflict;
    const Revision next = revision() + 1;
    if (write.data) {
      log.push_back({ChangeType::put, write.kind, write.name, next, *write.data});
      documents[key] = {write.kind, write.name, next, *write.data};
    } else {
      log.push_back({ChangeType::remove, write.kind, write.name, next, found->second.data});
      documents.erase(found);
    }
    return std::nullopt;
  }

  void keep(std::size_t count) {
    if (revision() > count) compacted = std::max(compacted, revision() - count);
  }

  // Nullopt: gone.
  [[nodiscard]] std::optional<Changes> since(Revision since, const std::vector<std::string>& kinds,
                                             std::size_t limit) const {
    if (since < compacted) return std::nullopt;
    Changes out{.changes = {}, .revision = revision(), .more = false};
    for (auto i = static_cast<std::size_t>(since); i < log.size(); ++i) {
      if (!kinds.empty() && kinds.front() != log[i].kind) continue;
      if (out.changes.size() == limit) {
        out.more = true;
        out.revision = out.changes.back().revision;
        break;
      }
      out.changes.push_back(log[i]);
    }
    return out;
  }
};

}  // namespace berth::store
