// RouteDoc: what a route says of itself where it is added. The OpenAPI document is made of these.
#pragma once

#include "base/schema.h"

#include <functional>
#include <string>
#include <vector>

namespace berth::net {

// Makes a schema, with the types that it shares as references. Empty: there is no body.
using SchemaSource = std::function<json::object(Schemas&)>;

struct QueryDoc {
  std::string name;
  std::string text;
  std::string type = "string";  // of JSON schema: "integer", "boolean"
};

struct RouteDoc {
  std::string summary = {};  // one line; empty: the route is not documented
  std::string tag = {};      // the heading that it stands under
  std::vector<QueryDoc> query = {};
  std::vector<QueryDoc> headers = {};  // of the request
  SchemaSource request = {};
  int status = 200;  // of the usual answer
  SchemaSource response = {};
  std::string content_type = "application/json";  // of the usual answer
  std::vector<int> more_statuses = {};            // of answers with the same body
  bool request_optional = false;                  // the request may come without a body
  bool open = false;                              // answers without a key
};

// A described struct as a body: `body<Model>()`, read: `body<Deployment>(SchemaUse::input)`.
template <class T>
SchemaSource body(SchemaUse use = SchemaUse::output) {
  return [use](Schemas& schemas) { return json_schema<T>(use, &schemas); };
}

}  // namespace berth::net
