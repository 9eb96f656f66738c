#include "gateway/gateway.h"

#include "gateway/embeddings.h"
#include "gateway/rerank.h"

namespace berth::gateway {
namespace {

json::object describe(const ModelRoute& route) {
  return {{"id", route.name},
          {"object", "model"},
          {"created", route.created},
          {"owned_by", "berth"},
          {"context_length", route.context},
          {"instances", route.ready.size()}};
}

// What clients and engines agree on; OpenAI's documentation describes it.
json::object open_object(Schemas&) { return {{"type", "object"}}; }

json::object field(std::string_view type, std::string_view description) {
  return {{"type", type}, {"description", description}};
}

json::object embeddings_schema(Schemas&) {
  const json::object format{{"type", "string"}, {"enum", json::array{"float", "base64"}}};
  return {{"type", "object"},
          {"required", json::array{"model", "input"}},
          {"properties",
           json::object{
               {"model", field("string", "an embedding model")},
               {"input", json::object{{"type", json::array{"string", "array"}},
                                      {"description",
                                       "a text, a list of tokens, or up to 2048 "
                                       "of either"}}},
               {"encoding_format", format},
               {"dimensions", field("integer", "shorter vectors, of models trained for that")}}}};
}

json::object rerank_schema(Schemas&) {
  const json::object documents{{"type", "array"},
                               {"description", "texts, or objects with \"text\"; up to 2048"}};
  return {{"type", "object"},
          {"required", json::array{"model", "query", "documents"}},
          {"properties",
           json::object{
               {"model", field("string", "a reranker")},
               {"query", field("string", "what the documents are compared with")},
               {"documents", documents},
               {"top_n", field("integer", "only so many of the best")},
               {"return_documents", field("boolean", "with the documents; /v1: true unless said")},
               {"normalize", field("boolean",
                                   "scores from 0 to 1 (true unless said), or as the "
                                   "model gives them")}}}};
}

net::Task<> health(net::Exchange& exchange) {
  co_await exchange.respond(net::json_response(200, {{"status", "ok"}}));
}

}  // namespace

Gateway::Gateway(store::Store& store, const backends::Registry& backends,
                 const server::Access& access, const Clock& clock, GatewayOptions options)
    : table_(store, backends, options.always_by_proxy),
      context_{.table = table_,
               .metrics = metrics_,
               .access = access,
               .clock = clock,
               .peer_of = std::move(options.peer_of)} {}

void Gateway::add_routes(net::Router& router) {
  const auto add = [&](std::string_view method, std::string_view pattern, net::Handler handler,
                       std::string summary, net::SchemaSource request = {}) {
    router.add(method, pattern, std::move(handler),
               {.summary = std::move(summary),
                .tag = "inference",
                .request = std::move(request),
                .response = open_object});
  };
  router.add("GET", "/health", health,
             {.summary = "Whether the server answers",
              .tag = "server",
              .response = open_object,
              .open = true});
  router.add("GET", "/metrics", [this](net::Exchange& exchange) { return metrics(exchange); },
             {.summary = "Figures in Prometheus' text format",
              .tag = "server",
              .content_type = "text/plain; version=0.0.4; charset=utf-8"});
  add(
      "GET", "/v1/models", [this](net::Exchange& exchange) { return list_models(exchange); },
      "The models that answer now, as OpenAI lists them");
  add(
      "GET", "/v1/models/{name...}",
      [this](net::Exchange& exchange) { return get_model(exchange); },
      "A model, as OpenAI shows it");
  add(
      "POST", "/v1/chat/completions",
      [this](net::Exchange& exchange) {
        return relay_completion(context_, exchange, "/v1/chat/completions", "chat_completions");
      },
      "The answer to a conversation; with \"stream\", as server-sent events", open_object);
  add(
      "POST", "/v1/completions",
      [this](net::Exchange& exchange) {
        return relay_completion(context_, exchange, "/v1/completions", "completions");
      },
      "The continuation of a text; with \"stream\", as server-sent events", open_object);
  add(
      "POST", "/v1/embeddings",
      [this](net::Exchange& exchange) {
        return relay_portions(context_, exchange, read_embeddings, Task::embeddings,
                              "/v1/embeddings", "embeddings");
      },
      "Texts as vectors, as OpenAI has it", embeddings_schema);
  add(
      "POST", "/v1/rerank",
      [this](net::Exchange& exchange) {
        return relay_portions(context_, exchange, read_jina_rerank, Task::rerank, "/v1/rerank",
                              "rerank");
      },
      "How well documents answer a query, the best first, as Jina has it (and Cohere's v1)",
      rerank_schema);
  add(
      "POST", "/v2/rerank",
      [this](net::Exchange& exchange) {
        return relay_portions(context_, exchange, read_cohere_rerank, Task::rerank, "/v1/rerank",
                              "rerank");
      },
      "How well documents answer a query, the best first, as Cohere has it", rerank_schema);
}

// What answers requests now: a client that reads the list can use each of its entries.
net::Task<> Gateway::list_models(net::Exchange& exchange) {
  auto allowed = context_.access.authenticate(exchange.request());
  if (!allowed) {
    co_await exchange.respond(net::error_response(allowed.error()));
    co_return;
  }
  json::array models;
  const auto routes = table_.routes();
  for (const auto& [name, route] : *routes) {
    if (!route.ready.empty()) models.push_back(describe(route));
  }
  co_await exchange.respond(net::json_response(200, {{"object", "list"}, {"data", models}}));
}

net::Task<> Gateway::get_model(net::Exchange& exchange) {
  auto allowed = context_.access.authenticate(exchange.request());
  if (!allowed) {
    co_await exchange.respond(net::error_response(allowed.error()));
    co_return;
  }
  const auto routes = table_.routes();
  const auto route = routes->find(exchange.param("name"));
  if (route == routes->end()) {
    const auto error =
        make_error(ErrorCode::not_found, "there is no model named \"{}\"", exchange.param("name"));
    co_await exchange.respond(net::error_response(error));
    co_return;
  }
  co_await exchange.respond(net::json_response(200, describe(route->second)));
}

net::Task<> Gateway::metrics(net::Exchange& exchange) {
  auto allowed = context_.access.authenticate(exchange.request());
  if (!allowed) {
    co_await exchange.respond(net::error_response(allowed.error()));
    co_return;
  }
  const auto routes = table_.routes();
  std::string text = metrics_.to_text(*routes);
  for (const auto& figures : figures_) text += figures();
  auto response =
      net::text_response(200, std::move(text), "text/plain; version=0.0.4; charset=utf-8");
  co_await exchange.respond(std::move(response));
}

}  // namespace berth::gateway
