// The SQLite store's reading side, and its events.
#include "base/describe.h"
#include "store/sqlite_store_impl.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace berth::store::sqlite {
namespace {

Result<json::object> read_data(std::string_view kind, std::string_view name,
                               std::string_view text) {
  auto value = parse_json(text);
  if (value && value->is_object()) return std::move(value->get_object());
  return fail(ErrorCode::internal, "the stored {} {} is no JSON object{}", kind, name,
              value ? std::string() : ": " + value.error().to_string());
}

// `text` cut to `limit` bytes, at the start of a UTF-8 character.
std::string_view cut(std::string_view text, std::size_t limit) {
  if (text.size() <= limit) return text;
  while (limit > 0 && (static_cast<unsigned char>(text[limit]) & 0xc0) == 0x80) --limit;
  return text.substr(0, limit);
}

}  // namespace

Result<Document> SqliteStore::get(std::string_view kind, std::string_view name) {
  Document document{
      .kind = std::string(kind), .name = std::string(name), .revision = 0, .data = {}};
  std::string text;
  {
    const std::lock_guard guard(reader_mutex_);
    BERTH_TRY(Query query,
              reader_->query("SELECT revision, data FROM documents WHERE kind = $1 AND name = $2",
                             kind, name));
    BERTH_TRY(const bool found, query.step());
    if (!found) return fail(ErrorCode::not_found, "no {} is named {}", kind, name);
    document.revision = static_cast<Revision>(query.integer(0));
    text = query.text(1);
  }
  BERTH_TRY(document.data, read_data(kind, name, text));
  return document;
}

Result<Listing> SqliteStore::list(std::string_view kind) { return list_where(kind, "", ""); }

Result<Listing> SqliteStore::list(std::string_view kind, std::string_view field,
                                  std::string_view value) {
  const auto& fields = options_.indexed_fields;
  if (std::find(fields.begin(), fields.end(), field) == fields.end()) {
    return fail(
        make_error(ErrorCode::invalid_parameter, "documents are not indexed by \"{}\"", field)
            .with_field(std::string(field)));
  }
  return list_where(kind, fmt::format(" AND json_extract(data, '$.{}') = $2", field), value);
}

Result<Listing> SqliteStore::list_where(std::string_view kind, std::string_view condition,
                                        std::string_view value) {
  Listing listing;
  std::vector<std::string> texts;  // parsed without the lock
  {
    const std::lock_guard guard(reader_mutex_);
    BERTH_TRY(Transaction snapshot, Transaction::start(*reader_, "BEGIN"));
    BERTH_TRY(const auto revision, reader_->integer("SELECT revision FROM state"));
    listing.revision = static_cast<Revision>(revision);
    const auto sql = fmt::format(
        "SELECT name, revision, data FROM documents WHERE kind = $1{} ORDER BY name", condition);
    auto prepared =
        condition.empty() ? reader_->query(sql, kind) : reader_->query(sql, kind, value);
    BERTH_TRY(Query query, std::move(prepared));
    for (;;) {
      BERTH_TRY(const bool row, query.step());
      if (!row) break;
      listing.documents.push_back({.kind = std::string(kind),
                                   .name = std::string(query.text(0)),
                                   .revision = static_cast<Revision>(query.integer(1)),
                                   .data = {}});
      texts.emplace_back(query.text(2));
    }
  }
  for (std::size_t i = 0; i < texts.size(); ++i) {
    Document& document = listing.documents[i];
    BERTH_TRY(document.data, read_data(kind, document.name, texts[i]));
  }
  return listing;
}

Result<Changes> SqliteStore::changes_since(Revision since, const Scope& scope, std::size_t limit) {
  if (auto changes = recent_.since(since, scope, limit)) return std::move(*changes);
  const std::lock_guard guard(reader_mutex_);
  BERTH_TRY(Transaction snapshot, Transaction::start(*reader_, "BEGIN"));
  BERTH_TRY(const auto revision, reader_->integer("SELECT revision FROM state"));
  BERTH_TRY(const auto compacted, reader_->integer("SELECT compacted FROM state"));
  const auto newest = static_cast<Revision>(revision);
  if (since < static_cast<Revision>(compacted) || since > newest) {
    return fail(make_error(ErrorCode::gone,
                           "changes since revision {} are not known (those after {} up to {} are): "
                           "list again",
                           since, compacted, revision)
                    .with_field("since"));
  }
  ChangeCollector collector(limit);
  BERTH_TRY(Query query,
            reader_->query("SELECT revision, removed, kind, name, size, data FROM changes "
                           "WHERE revision > $1 ORDER BY revision",
                           since));
  for (;;) {
    BERTH_TRY(const bool row, query.step());
    if (!row) break;
    if (!scope.has_kind(query.text(2))) continue;
    Change change{.type = query.integer(1) == 0 ? ChangeType::put : ChangeType::remove,
                  .kind = std::string(query.text(2)),
                  .name = std::string(query.text(3)),
                  .revision = static_cast<Revision>(query.integer(0)),
                  .data = {}};
    BERTH_TRY(change.data, read_data(change.kind, change.name, query.text(5)));
    if (!scope.covers(change.kind, change.data)) continue;
    const auto size = static_cast<std::size_t>(query.integer(4));
    if (!collector.fits(size)) break;
    collector.add(std::move(change), size);
  }
  return std::move(collector).finish(newest);
}

bool SqliteStore::is_behind(Revision since, const Scope& scope, Bytes limit) {
  return recent_.is_behind(since, scope, limit);
}

Result<Revision> SqliteStore::revision() { return recent_.newest(); }

Result<void> SqliteStore::append_event(Event event) {
  const auto time =
      std::chrono::duration_cast<std::chrono::milliseconds>(event.time.time_since_epoch());
  const std::lock_guard guard(writer_mutex_);
  BERTH_TRY(Transaction transaction, Transaction::start(*writer_, "BEGIN IMMEDIATE"));
  BERTH_TRY(Query insert,
            writer_->query("INSERT INTO events(time, kind, name, level, reason, message) "
                           "VALUES ($1, $2, $3, $4, $5, $6)",
                           std::int64_t{time.count()}, cut(event.kind, kNameLimit),
                           cut(event.name, kNameLimit), enum_name(event.level),
                           cut(event.reason, kNameLimit), cut(event.message, kEventTextLimit)));
  BERTH_CHECK(insert.run());
  BERTH_TRY(Query drop,
            writer_->query("DELETE FROM events WHERE id <= (SELECT MAX(id) FROM events) - $1",
                           std::uint64_t{options_.events_kept}));
  BERTH_CHECK(drop.run());
  return transaction.commit();
}

Result<std::vector<Event>> SqliteStore::list_events(const EventFilter& filter, std::size_t limit) {
  // One text for each combination, so that the index serves; what does not filter is not bound.
  std::string sql = "SELECT id, time, kind, name, level, reason, message FROM events WHERE id > $1";
  std::vector<std::string_view> texts;
  const auto add = [&](std::string_view column, std::string_view value) {
    texts.push_back(value);
    sql += fmt::format(" AND {} = ${}", column, texts.size() + 2);
  };
  if (!filter.kind.empty()) add("kind", filter.kind);
  if (!filter.name.empty()) add("name", filter.name);
  if (filter.level) add("level", enum_name(*filter.level));
  sql += " ORDER BY id DESC LIMIT $2";

  const std::lock_guard guard(reader_mutex_);
  BERTH_TRY(Query query,
            reader_->query(sql, std::min(filter.after_id, std::uint64_t{INT64_MAX}),
                           static_cast<std::int64_t>(std::min(limit, options_.events_kept))));
  for (std::size_t i = 0; i < texts.size(); ++i) {
    BERTH_CHECK(query.bind(static_cast<int>(i) + 3, texts[i]));
  }
  std::vector<Event> events;
  for (;;) {
    BERTH_TRY(const bool row, query.step());
    if (!row) return events;
    events.push_back({.id = static_cast<std::uint64_t>(query.integer(0)),
                      .time = SystemTime(std::chrono::milliseconds(query.integer(1))),
                      .kind = std::string(query.text(2)),
                      .name = std::string(query.text(3)),
                      .level = parse_enum<EventLevel>(query.text(4)).value_or(EventLevel::info),
                      .reason = std::string(query.text(5)),
                      .message = std::string(query.text(6))});
  }
}

}  // namespace berth::store::sqlite
