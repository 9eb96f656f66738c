// bench_gateway: the parts of the gateway's benchmark, one a process, put together by run.py.
//
//   bench_gateway engine PORT
//   bench_gateway gateway PORT ENGINE_PORT BACKEND    prints its key; one thread
//   bench_gateway load JSON                           prints what it counted
#include "engine.h"
#include "gateway/test_gateway.h"
#include "load.h"
#include "net/server.h"

#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include <unistd.h>

namespace {

using namespace berth;

std::uint16_t to_port(const std::string& text) {
  return static_cast<std::uint16_t>(std::strtoul(text.c_str(), nullptr, 10));
}

int serve(const std::string& port, net::Router router) {
  auto server = net::Server::listen(
      {.address = {"127.0.0.1", to_port(port)}, .threads = 1, .max_connections = 10'000},
      std::move(router));
  if (!server) {
    std::fprintf(stderr, "%s\n", server.error().to_string().c_str());
    return 1;
  }
  (*server)->start();
  std::puts("ready");
  std::fflush(stdout);
  for (;;) ::pause();
}

int run_gateway(const std::vector<std::string>& arguments) {
  gateway::TestGateway gateway(arguments[4], {{"127.0.0.1", to_port(arguments[3])}});
  std::puts(gateway.key().c_str());
  return serve(arguments[2], gateway.router());
}

std::size_t number(const json::object& options, std::string_view name, std::size_t otherwise) {
  const auto* value = options.if_contains(name);
  return value != nullptr && value->is_int64() ? static_cast<std::size_t>(value->get_int64())
                                               : otherwise;
}

int run_load(const std::string& text) {
  const auto parsed = parse_json(text);
  if (!parsed || !parsed->is_object()) return 2;
  const auto& options = parsed->get_object();
  const auto* key = options.if_contains("key");
  const bench::Load load{
      .server = {"127.0.0.1", static_cast<std::uint16_t>(number(options, "port", 0))},
      .key = key != nullptr && key->is_string() ? std::string(key->get_string()) : "",
      .connections = number(options, "connections", 64),
      .body_bytes = number(options, "body_bytes", 1024),
      .duration = std::chrono::milliseconds(number(options, "duration_ms", 0)),
      .stream = number(options, "stream", 0) != 0,
      .events = number(options, "events", 100),
      .pace_ms = number(options, "pace_ms", 50),
      .ramp = std::chrono::milliseconds(number(options, "ramp_ms", 0))};
  std::puts(to_text(bench::run_load(load)).c_str());
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string> arguments(argv, argv + argc);
  const std::string part = argc > 1 ? arguments[1] : "";
  if (part == "engine" && argc == 3) return serve(arguments[2], bench::engine_router());
  if (part == "gateway" && argc == 5) return run_gateway(arguments);
  if (part == "load" && argc == 3) return run_load(arguments[2]);
  std::fprintf(stderr,
               "bench_gateway: engine PORT | gateway PORT ENGINE_PORT BACKEND | load JSON\n");
  return 2;
}
