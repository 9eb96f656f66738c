#include "server/openapi.h"

#include "base/schema.h"
#include "server/schemas.h"

#include <algorithm>
#include <cctype>
#include <memory>
#include <set>
#include <stdexcept>

namespace berth::server {
namespace {

constexpr std::string_view kComponents = "#/components/";

// "/v1/models/{name...}" is told as "/v1/models/{name}".
std::string path_of(std::string_view pattern) {
  std::string path(pattern);
  if (const auto dots = path.find("...}"); dots != std::string::npos) path.erase(dots, 3);
  return path;
}

json::object parameter(std::string_view where, const net::QueryDoc& doc) {
  return {{"name", doc.name},
          {"in", json::string(where)},
          {"description", doc.text},
          {"schema", json::object{{"type", doc.type}}}};
}

json::array parameters_of(const net::Router::Route& route) {
  json::array parameters;
  const std::string path = path_of(route.pattern);
  for (auto open = path.find('{'); open != std::string::npos; open = path.find('{', open + 1)) {
    const std::string name = path.substr(open + 1, path.find('}', open) - open - 1);
    parameters.push_back(json::object{{"name", name},
                                      {"in", "path"},
                                      {"required", true},
                                      {"description", "percent-encoded: \"/\" as %2F"},
                                      {"schema", json::object{{"type", "string"}}}});
  }
  for (const auto& query : route.doc.query) parameters.push_back(parameter("query", query));
  for (const auto& header : route.doc.headers) parameters.push_back(parameter("header", header));
  return parameters;
}

json::object response_of(const net::RouteDoc& doc, Schemas& schemas) {
  json::object media;
  if (doc.response) media["schema"] = doc.response(schemas);
  return {{"description", "done"}, {"content", json::object{{doc.content_type, std::move(media)}}}};
}

// "get_api_v1_models_name".
std::string operation_id(const net::Router::Route& route) {
  std::string id;
  for (const char c : route.method) {
    id += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  for (const char c : route.pattern) {
    const bool usual = std::isalnum(static_cast<unsigned char>(c)) != 0;
    if (usual)
      id += c;
    else if (id.back() != '_')
      id += '_';
  }
  while (id.ends_with('_')) id.pop_back();
  return id;
}

json::object operation_of(const net::Router::Route& route, Schemas& schemas) {
  const auto& doc = route.doc;
  json::object operation{{"operationId", operation_id(route)},
                         {"summary", doc.summary},
                         {"tags", json::array{json::string(doc.tag)}}};
  if (auto parameters = parameters_of(route); !parameters.empty()) {
    operation["parameters"] = std::move(parameters);
  }
  if (doc.request) {
    operation["requestBody"] = json::object{
        {"required", !doc.request_optional},
        {"content",
         json::object{{"application/json", json::object{{"schema", doc.request(schemas)}}}}}};
  }
  json::object responses{{std::to_string(doc.status), response_of(doc, schemas)}};
  for (const int status : doc.more_statuses) {
    responses[std::to_string(status)] = response_of(doc, schemas);
  }
  responses["default"] = json::object{{"$ref", std::string(kComponents) + "responses/Error"}};
  operation["responses"] = std::move(responses);
  if (doc.open) operation["security"] = json::array();
  return operation;
}

// What every refused request is answered with.
json::object error_schema() {
  const json::object text{{"type", "string"}};
  const json::object field{{"type", json::array{"string", "null"}},
                           {"description", "the field, flag or parameter that is wrong"}};
  const json::object error{
      {"type", "object"},
      {"required", json::array{"message", "type", "param", "code"}},
      {"properties",
       json::object{{"message", text}, {"type", text}, {"param", field}, {"code", text}}}};
  return {{"type", "object"},
          {"required", json::array{"error"}},
          {"properties", json::object{{"error", error}}}};
}

json::object components(const Schemas& schemas) {
  json::object all = schemas.definitions();
  all["Error"] = error_schema();
  const json::object reference{{"$ref", std::string(kComponents) + "schemas/Error"}};
  const json::object answer{
      {"description", "refused, or failed; the status follows from the error's code"},
      {"content", json::object{{"application/json", json::object{{"schema", reference}}}}}};
  const json::object bearer{{"type", "http"},
                            {"scheme", "bearer"},
                            {"description", "an API key; berth key create makes one"}};
  return {{"schemas", std::move(all)},
          {"responses", json::object{{"Error", answer}}},
          {"securitySchemes", json::object{{"key", bearer}}}};
}

Result<net::Response> settings(ServerContext&, const ApiRequest&) {
  return net::json_response(200, settings_schema());
}

Result<net::Response> deployment(ServerContext&, const ApiRequest&) {
  return net::json_response(200, deployment_schema());
}

void require_descriptions(const std::vector<net::Router::Route>& routes) {
  for (const auto& route : routes) {
    const bool is_api = route.pattern.starts_with("/api/") || route.pattern.starts_with("/v1/");
    if (is_api && route.doc.summary.empty()) {
      throw std::logic_error(
          fmt::format("route {} {} has no description", route.method, route.pattern));
    }
  }
}

net::RouteDoc document_doc(std::string summary) {
  const auto object = [](Schemas&) { return json::object{{"type", "object"}}; };
  return {.summary = std::move(summary), .tag = "description", .response = object};
}

}  // namespace

json::object openapi_document(const std::vector<net::Router::Route>& routes,
                              std::string_view version) {
  Schemas schemas(std::string(kComponents) + "schemas/");
  json::object paths;
  std::set<std::string> tags;
  for (const auto& route : routes) {
    if (route.doc.summary.empty()) continue;
    json::value& path = paths[path_of(route.pattern)];
    if (path.is_null()) path = json::object();
    std::string method = route.method;
    std::transform(method.begin(), method.end(), method.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    path.get_object()[method] = operation_of(route, schemas);
    tags.insert(route.doc.tag);
  }
  json::array tag_list;
  for (const auto& tag : tags) tag_list.push_back(json::object{{"name", tag}});
  return {{"openapi", "3.1.0"},
          {"info", json::object{{"title", "Berth"},
                                {"version", json::string(version)},
                                {"description",
                                 "Places AI models on machines and serves them. Models are managed "
                                 "under /api/v1; requests to them go to /v1, as OpenAI's API has "
                                 "it."}}},
          {"servers", json::array{json::object{{"url", "/"}}}},
          {"security", json::array{json::object{{"key", json::array()}}}},
          {"tags", std::move(tag_list)},
          {"paths", std::move(paths)},
          {"components", components(schemas)}};
}

void add_openapi_routes(net::Router& router, ServerContext& context) {
  auto text = std::make_shared<std::string>();
  const auto answer = [text](ServerContext&, const ApiRequest&) -> Result<net::Response> {
    return net::text_response(200, *text, "application/json");
  };
  const auto add = [&](std::string_view pattern, ApiHandler handler, std::string summary) {
    add_route(router, context, RouteAccess::admin, "GET", pattern, std::move(handler),
              document_doc(std::move(summary)));
  };
  add("/api/v1/openapi.json", answer, "This document");
  add("/api/v1/schemas/deployment", deployment, "The JSON schema of a deployment");
  add("/api/v1/schemas/settings", settings, "The JSON schema of berth.yaml");
  require_descriptions(router.routes());
  *text = to_text(openapi_document(router.routes(), context.version));
}

}  // namespace berth::server
