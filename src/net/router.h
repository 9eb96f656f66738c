// Router: finds the handler of a request by method and path.
#pragma once

#include "net/exchange.h"
#include "net/route_doc.h"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace berth::net {

// A trie of path segments. Literal segments win over `{name}`, which wins over a trailing
// `{rest...}` (one or more segments). Unknown paths get 404, known paths with another method 405
// with Allow, both in OpenAI's shape; HEAD is served by GET. Build it before the server starts;
// then it is read-only and may be used from several threads.
class Router {
 public:
  Router();
  ~Router();
  Router(Router&&) noexcept;
  Router& operator=(Router&&) noexcept;

  // `pattern` such as "/api/v1/models/{name}" or "/assets/{rest...}". A pattern that is malformed
  // or already taken for `method` throws std::logic_error: it is a bug.
  Router& add(std::string_view method, std::string_view pattern, Handler handler,
              RouteDoc doc = {});
  // Runs for paths that no pattern matches, instead of the 404.
  Router& fallback(Handler handler);

  // What a request for `method` and the encoded `path` leads to.
  struct Match {
    const Handler* handler = nullptr;  // null: answer 404, or 405 where `allow` is not empty
    Exchange::Params params;
    std::string allow;         // "GET, POST"
    std::string_view pattern;  // "/api/v1/models/{name}"; a low-cardinality label for metrics
  };
  [[nodiscard]] Match match(std::string_view method, std::string_view path) const;

  // Every route, in the order of `add`, with what it says of itself.
  struct Route {
    std::string method;
    std::string pattern;
    RouteDoc doc;
  };
  [[nodiscard]] const std::vector<Route>& routes() const { return routes_; }

  // Answers `exchange`: with the route's handler, the fallback, 404 or 405.
  Task<> handle(Exchange& exchange) const;

 private:
  struct Node;
  std::unique_ptr<Node> root_;
  std::vector<Route> routes_;
  Handler fallback_;
};

}  // namespace berth::net
