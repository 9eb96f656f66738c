#include "server/model_changes.h"

#include "server/rollout.h"
#include "store/typed.h"

#include <charconv>

namespace berth::server {
namespace {

using model::Model;

constexpr int kAttempts = 64;

// A try that another writer was quicker than leaves nothing.
using Attempt = std::optional<ModelChange>;

bool is_lost_race(const Error& error) {
  return error.code == ErrorCode::conflict || error.code == ErrorCode::already_exists ||
         error.code == ErrorCode::not_found;
}

Error moved_on(std::string_view name, store::Revision now, store::Revision expected) {
  return make_error(ErrorCode::conflict,
                    "the model \"{}\" was changed meanwhile (its revision is {}, not {}): look at "
                    "it anew and repeat the change",
                    name, now, expected);
}

Result<Attempt> try_create(store::Store& store, const std::string& name, const Condition& condition,
                           Write write, const MakeModel& make) {
  if (condition.revision || condition.must_exist) return fail(no_model_error(name));
  BERTH_TRY(Model model, make(nullptr));
  ModelChange change{.before = std::nullopt, .model = std::move(model), .differs = true};
  if (write == Write::dry_run) return Attempt(std::move(change));
  const auto written = store::put_new(store, model::kModelKind, name, change.model);
  if (!written && is_lost_race(written.error())) return Attempt();
  if (!written) return fail(written.error());
  change.revision = *written;
  return Attempt(std::move(change));
}

Result<Attempt> try_change(store::Store& store, store::Document document,
                           const Condition& condition, Write write, const MakeModel& make) {
  if (condition.must_be_new) return fail(taken_name_error(document.name));
  BERTH_TRY(Model before, store::read_as<Model>(model::kModelKind, document.name, document.data));
  const auto edited = edit_revision(before, document.revision);
  if (condition.revision &&
      (*condition.revision < edited || *condition.revision > document.revision)) {
    return fail(moved_on(document.name, edited, *condition.revision));
  }
  BERTH_TRY(Model after, make(&before));
  json::object data = document.data;
  merge_json(data, after);
  ModelChange change{.before = std::move(before),
                     .model = std::move(after),
                     .revision = edited,
                     .differs = data != document.data};
  if (!change.differs || write == Write::dry_run) return Attempt(std::move(change));
  take_edit_revision(change.model);
  merge_json(data, change.model);
  const auto written =
      store.put(model::kModelKind, document.name, std::move(data), document.revision);
  if (!written && is_lost_race(written.error())) return Attempt();
  if (!written) return fail(written.error());
  change.revision = *written;
  return Attempt(std::move(change));
}

}  // namespace

Result<Condition> read_condition(const net::Request& request) {
  Condition condition;
  const auto refuse = [](std::string_view header, std::string_view text, std::string_view form) {
    return fail(
        make_error(ErrorCode::invalid_parameter, "{} must be {} (got {})", header, form, text)
            .with_field(std::string(header)));
  };
  if (const auto none = request.headers.get("if-none-match")) {
    if (*none != "*") return refuse("If-None-Match", *none, "*");
    condition.must_be_new = true;
  }
  if (auto match = request.headers.get("if-match")) {
    std::string_view text = *match;
    if (text == "*") {
      condition.must_exist = true;
      return condition;
    }
    if (text.starts_with("W/")) text.remove_prefix(2);  // what a proxy makes of it
    const bool quoted = text.size() > 2 && text.front() == '"' && text.back() == '"';
    if (quoted) text = text.substr(1, text.size() - 2);
    store::Revision revision = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), revision);
    if (!quoted || error != std::errc{} || end != text.data() + text.size()) {
      return refuse("If-Match", *match, "a revision in quotes, such as \"12\"");
    }
    condition.revision = revision;
  }
  return condition;
}

Result<Write> read_dry_run(const net::Request& request) {
  const auto text = request.query.get("dry_run");
  if (!text || *text == "false") return Write::really;
  if (*text == "true") return Write::dry_run;
  return fail(
      make_error(ErrorCode::invalid_parameter, "dry_run must be true or false (got {})", *text)
          .with_field("dry_run"));
}

Error no_model_error(std::string_view name) {
  return make_error(ErrorCode::not_found, "there is no model named \"{}\"; see berth models", name);
}

Error as_model_error(Error error, std::string_view name) {
  return error.code == ErrorCode::not_found ? no_model_error(name) : std::move(error);
}

Error taken_name_error(std::string_view name) {
  return make_error(ErrorCode::already_exists,
                    "there is a model named \"{}\" already; choose another name, or change it with "
                    "berth edit or berth scale, or remove it with berth rm",
                    name)
      .with_field("name");
}

Result<ModelChange> put_model(store::Store& store, const std::string& name,
                              const Condition& condition, Write write, const MakeModel& make) {
  for (int attempt = 1; attempt <= kAttempts; ++attempt) {
    auto document = store.get(model::kModelKind, name);
    const bool missing = !document && document.error().code == ErrorCode::not_found;
    if (!document && !missing) return fail(std::move(document).error());
    BERTH_TRY(auto done, missing ? try_create(store, name, condition, write, make)
                                 : try_change(store, std::move(*document), condition, write, make));
    if (done) return std::move(*done);
  }
  return fail(ErrorCode::conflict, "the model \"{}\" is changed by others all the time; try again",
              name);
}

Result<ModelChange> change_model(store::Store& store, const std::string& name,
                                 const Condition& condition, Write write,
                                 const ChangeModel& change) {
  Condition present = condition;
  present.must_exist = true;
  return put_model(store, name, present, write, [&](const Model* before) -> Result<Model> {
    return change(*before);  // there, as the condition says
  });
}

}  // namespace berth::server
