// Changes of models by the API: read, check, change and write, under the conditions that a request
// makes of the revision.
#pragma once

#include "base/result.h"
#include "model/instance.h"
#include "net/http.h"
#include "store/store.h"

#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace berth::server {

// What a request demands of the document that it changes.
struct Condition {
  std::optional<store::Revision> revision;  // If-Match: "12"
  bool must_exist = false;                  // If-Match: *
  bool must_be_new = false;                 // If-None-Match: *
};

enum class Write { really, dry_run };

// From If-Match and If-None-Match. Fails with invalid_parameter.
Result<Condition> read_condition(const net::Request& request);
// From ?dry_run=true. Fails with invalid_parameter.
Result<Write> read_dry_run(const net::Request& request);

// "There is no model named …".
Error no_model_error(std::string_view name);
// Not found, said of a model rather than of a document; others as they are.
Error as_model_error(Error error, std::string_view name);
Error taken_name_error(std::string_view name);

struct ModelChange {
  std::optional<model::Model> before;  // nothing: it was not there
  model::Model model;
  store::Revision revision = 0;  // as stored; of a dry run that of `before`
  bool differs = false;          // from `before`
};

// Changes the model called `name`, by `change` from what it is; again where another writer was
// quicker, unless the condition names a revision. Blocks. Fails with not_found, conflict (another
// revision, with how to go on), or what `change` says.
using ChangeModel = std::function<Result<model::Model>(const model::Model& before)>;
Result<ModelChange> change_model(store::Store& store, const std::string& name,
                                 const Condition& condition, Write write,
                                 const ChangeModel& change);

// The same for one that need not be there yet: `make` gets null then.
using MakeModel = std::function<Result<model::Model>(const model::Model* before)>;
Result<ModelChange> put_model(store::Store& store, const std::string& name,
                              const Condition& condition, Write write, const MakeModel& make);

}  // namespace berth::server
