// Documents as described structs: reading, creating, and read-change-write with retries. Members
// that a struct does not know (written by a newer version) survive an update.
//
//   BERTH_TRY(auto stored, update<Model>(store, "model", "llama", [](Model& m) { m.replicas = 2;
//   }));
#pragma once

#include "base/describe.h"
#include "base/result.h"
#include "store/store.h"

#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

namespace berth::store {

template <class T>
struct Stored {
  std::string name;
  Revision revision = 0;
  T value;
};

template <class T>
struct StoredList {
  std::vector<Stored<T>> items;  // by name
  Revision revision = 0;         // watch from here
};

// A document's data as a T. Fails with internal, naming the document and the member.
template <class T>
Result<T> read_as(std::string_view kind, std::string_view name, const json::object& data) {
  auto value = from_json<T>(json::value(data), UnknownMembers::ignore);
  if (value) return std::move(*value);
  Error error = std::move(value).error();
  error.code = ErrorCode::internal;
  return fail(std::move(error).context("the stored {} {} can not be read", kind, name));
}

// Fails with not_found, or as read_as.
template <class T>
Result<Stored<T>> get_as(Store& store, std::string_view kind, std::string_view name) {
  BERTH_TRY(Document document, store.get(kind, name));
  BERTH_TRY(T value, read_as<T>(kind, name, document.data));
  return Stored<T>{std::move(document.name), document.revision, std::move(value)};
}

template <class T>
Result<StoredList<T>> to_stored(Listing listing) {
  StoredList<T> list{.items = {}, .revision = listing.revision};
  list.items.reserve(listing.documents.size());
  for (Document& document : listing.documents) {
    BERTH_TRY(T value, read_as<T>(document.kind, document.name, document.data));
    list.items.push_back({std::move(document.name), document.revision, std::move(value)});
  }
  return list;
}

template <class T>
Result<StoredList<T>> list_as(Store& store, std::string_view kind) {
  BERTH_TRY(Listing listing, store.list(kind));
  return to_stored<T>(std::move(listing));
}

// By an indexed field; see Store::list.
template <class T>
Result<StoredList<T>> list_as(Store& store, std::string_view kind, std::string_view field,
                              std::string_view value) {
  BERTH_TRY(Listing listing, store.list(kind, field, value));
  return to_stored<T>(std::move(listing));
}

// A value as data for Store::commit: all members, secrets included.
template <class T>
json::object to_data(const T& value) {
  return std::move(to_json(value, Secrets::show).as_object());
}

// Fails with already_exists.
template <class T>
Result<Revision> put_new(Store& store, std::string_view kind, std::string_view name,
                         const T& value) {
  return store.put(kind, name, to_data(value), Revision{0});
}

namespace typed_detail {

inline constexpr int kAttempts = 64;

// Calls `change`, which returns nothing, bool (false: leave it as it is) or Result<void>.
template <class T, class Change>
Result<bool> apply(Change& change, T& value) {
  using R = std::invoke_result_t<Change&, T&>;
  if constexpr (std::is_void_v<R>) {
    change(value);
    return true;
  } else if constexpr (std::is_same_v<R, bool>) {
    return change(value);
  } else {
    BERTH_CHECK(change(value));
    return true;
  }
}

template <class T, class Change>
Result<Stored<T>> change_document(Store& store, std::string_view kind, std::string_view name,
                                  Change& change, bool create) {
  for (int attempt = 1;; ++attempt) {
    auto read = store.get(kind, name);
    const bool missing = !read && read.error().code == ErrorCode::not_found;
    if (!read && !(missing && create)) return fail(std::move(read).error());
    Document document = missing ? Document{std::string(kind), std::string(name), 0, {}} : *read;
    T value{};
    if (!missing) {
      BERTH_TRY(value, read_as<T>(kind, name, document.data));
    }
    BERTH_TRY(const bool changed, apply(change, value));
    const json::object before = document.data;
    if (changed) merge_json(document.data, value);
    if (!changed || (!missing && document.data == before)) {
      return Stored<T>{std::move(document.name), document.revision, std::move(value)};
    }
    auto written = store.put(kind, name, std::move(document.data), document.revision);
    if (written) return Stored<T>{std::move(document.name), *written, std::move(value)};
    const ErrorCode code = written.error().code;
    const bool lost_race = code == ErrorCode::conflict || code == ErrorCode::already_exists ||
                           (create && code == ErrorCode::not_found);
    if (!lost_race || attempt == kAttempts) return fail(std::move(written).error());
  }
}

}  // namespace typed_detail

// Reads, changes, and writes if it differs; when another writer was quicker, all over again (so
// `change` may run several times: no effects outside). `change` takes T& and returns nothing, bool
// (false: leave it) or Result<void>. Fails with not_found, conflict (64 lost races), what `change`
// says, or as read_as and Store::put. Returns what is stored now.
template <class T, class Change>
Result<Stored<T>> update(Store& store, std::string_view kind, std::string_view name,
                         Change change) {
  return typed_detail::change_document<T>(store, kind, name, change, false);
}

// As update, but begins with T{} where there is no such document (revision 0 is returned if
// `change` then returns false: nothing is stored).
template <class T, class Change>
Result<Stored<T>> upsert(Store& store, std::string_view kind, std::string_view name,
                         Change change) {
  return typed_detail::change_document<T>(store, kind, name, change, true);
}

}  // namespace berth::store
