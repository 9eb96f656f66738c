#include "net/router.h"

#include <map>
#include <stdexcept>
#include <utility>
#include <vector>

namespace berth::net {

struct Router::Node {
  struct Route {
    Handler handler;
    std::string pattern;
    std::vector<std::string> names;  // of the parameters, in order
  };
  std::map<std::string, std::unique_ptr<Node>, std::less<>> literals;
  std::unique_ptr<Node> param;
  std::map<std::string, Route, std::less<>> routes;       // by method, ending here
  std::map<std::string, Route, std::less<>> rest_routes;  // by method, with "{rest...}" from here
};

namespace {

// "/a/b" is "a", "b"; "/a/" is "a", "": a trailing slash makes another path.
std::vector<std::string_view> split(std::string_view path) {
  std::vector<std::string_view> segments;
  if (path.starts_with('/')) path.remove_prefix(1);
  for (;;) {
    const std::size_t slash = path.find('/');
    segments.push_back(path.substr(0, slash));
    if (slash == std::string_view::npos) return segments;
    path.remove_prefix(slash + 1);
  }
}

}  // namespace

Router::Router() : root_(std::make_unique<Node>()) {}
Router::~Router() = default;
Router::Router(Router&&) noexcept = default;
Router& Router::operator=(Router&&) noexcept = default;

Router& Router::add(std::string_view method, std::string_view pattern, Handler handler,
                    RouteDoc doc) {
  const auto refuse = [&](const char* why) {
    throw std::logic_error(fmt::format("route {} {}: {}", method, pattern, why));
  };
  if (!pattern.starts_with('/')) refuse("a pattern begins with \"/\"");
  Node* node = root_.get();
  bool rest = false;
  Node::Route route{std::move(handler), std::string(pattern), {}};
  for (std::string_view segment : split(pattern)) {
    if (rest) refuse("\"{...}\" is the last segment");
    if (!segment.starts_with('{')) {
      auto& child = node->literals[std::string(segment)];
      if (!child) child = std::make_unique<Node>();
      node = child.get();
      continue;
    }
    if (!segment.ends_with('}')) refuse("a parameter is a whole segment, \"{name}\"");
    segment = segment.substr(1, segment.size() - 2);
    rest = segment.ends_with("...");
    if (rest) segment.remove_suffix(3);
    if (segment.empty()) refuse("a parameter has a name");
    route.names.emplace_back(segment);
    if (rest) continue;
    if (!node->param) node->param = std::make_unique<Node>();
    node = node->param.get();
  }
  auto& routes = rest ? node->rest_routes : node->routes;
  if (!routes.try_emplace(std::string(method), std::move(route)).second) refuse("taken already");
  routes_.push_back({std::string(method), std::string(pattern), std::move(doc)});
  return *this;
}

Router& Router::fallback(Handler handler) {
  fallback_ = std::move(handler);
  return *this;
}

namespace {

// Walks the trie: the most particular route first, and back where it leads nowhere.
template <class Node>
class Walk {
 public:
  Walk(std::string_view method, std::vector<std::string> segments)
      : method_(method), segments_(std::move(segments)) {}

  const typename Node::Route* find(const Node& node, std::size_t depth = 0) {
    if (depth == segments_.size()) return choose(node.routes);
    const std::string& segment = segments_[depth];
    if (const auto child = node.literals.find(segment); child != node.literals.end()) {
      if (const auto* route = find(*child->second, depth + 1)) return route;
    }
    if (node.param && !segment.empty()) {
      values_.push_back(segment);
      if (const auto* route = find(*node.param, depth + 1)) return route;
      values_.pop_back();
    }
    if (!node.rest_routes.empty()) {
      std::string rest;
      for (std::size_t i = depth; i < segments_.size(); ++i) {
        if (i > depth) rest += '/';
        rest += segments_[i];
      }
      if (const auto* route = choose(node.rest_routes)) {
        values_.push_back(std::move(rest));
        return route;
      }
    }
    return nullptr;
  }

  std::vector<std::string>& values() { return values_; }
  [[nodiscard]] std::string allow() const {
    std::string text;
    for (const auto& [method, unused] : allowed_) text += (text.empty() ? "" : ", ") + method;
    return text;
  }

 private:
  template <class Routes>
  const typename Node::Route* choose(const Routes& routes) {
    if (const auto route = routes.find(method_); route != routes.end()) return &route->second;
    if (method_ == "HEAD") {
      if (const auto route = routes.find("GET"); route != routes.end()) return &route->second;
    }
    for (const auto& [method, route] : routes) allowed_[method] = true;
    return nullptr;
  }

  std::string_view method_;
  std::vector<std::string> segments_;
  std::vector<std::string> values_;
  std::map<std::string, bool> allowed_;
};

}  // namespace

Router::Match Router::match(std::string_view method, std::string_view path) const {
  std::vector<std::string> segments;
  for (const std::string_view segment : split(path)) {
    auto decoded = percent_decode(segment);
    if (!decoded) return {};
    segments.push_back(*std::move(decoded));
  }
  Walk<Node> walk(method, std::move(segments));
  Match match;
  if (const Node::Route* route = walk.find(*root_)) {
    match.handler = &route->handler;
    match.pattern = route->pattern;
    for (std::size_t i = 0; i < route->names.size(); ++i) {
      match.params.emplace_back(route->names[i], std::move(walk.values()[i]));
    }
    return match;
  }
  match.allow = walk.allow();
  if (match.allow.empty() && fallback_) match.handler = &fallback_;
  return match;
}

namespace {

Task<> answer_unknown(Exchange& exchange, std::string allow) {
  const Request& request = exchange.request();
  Response response;
  if (allow.empty()) {
    response = error_response(make_error(ErrorCode::not_found, "there is nothing at {} {}",
                                         request.method, request.path));
  } else {
    response = error_response(make_error(ErrorCode::method_not_allowed, "{} allows {}, not {}",
                                         request.path, allow, request.method));
    response.headers.set("allow", allow);
  }
  co_await exchange.respond(std::move(response));
}

}  // namespace

// Not a coroutine itself: nothing of the search stays in memory while a stream is held.
Task<> Router::handle(Exchange& exchange) const {
  const Request& request = exchange.request();
  const std::string_view target = request.target;
  Match found = match(request.method, target.substr(0, target.find_first_of("?#")));
  if (found.handler == nullptr) return answer_unknown(exchange, std::move(found.allow));
  exchange.set_params(std::move(found.params));
  return (*found.handler)(exchange);
}

}  // namespace berth::net
