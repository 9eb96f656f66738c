// ProxyFile: what the agent tells its proxy, as a file that is replaced atomically (0600: it holds
// keys).
#pragma once

#include "base/data_folder.h"
#include "base/describe.h"
#include "base/result.h"
#include "worker/membership.h"

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

namespace berth::worker {

// Where the engine of one member listens.
struct ProxyRoute {
  std::string name;  // "INSTANCE.GENERATION.MEMBER", as model::assignment_name says
  std::uint16_t port = 0;
  std::string engine_key;
  // The certificate's name of the worker whose engine may have a tunnel to it; empty: no tunnels.
  std::string tunnel_from;

  friend bool operator==(const ProxyRoute&, const ProxyRoute&) = default;
};
BOOST_DESCRIBE_STRUCT(ProxyRoute, (), (name, port, engine_key, tunnel_from))

// A port here through which engines reach a member on another worker.
struct ProxyTunnel {
  std::uint16_t port = 0;   // on loopback
  std::string proxy;        // of the other worker, "host:port"
  std::string certificate;  // the name that its certificate has
  std::string name;         // of the route there

  friend bool operator==(const ProxyTunnel&, const ProxyTunnel&) = default;
};
BOOST_DESCRIBE_STRUCT(ProxyTunnel, (), (port, proxy, certificate, name))

// The agent's own listener, on loopback, which the proxy passes the server's questions to.
struct AgentRoute {
  std::uint16_t port = 0;
  std::string access_key;

  friend bool operator==(const AgentRoute&, const AgentRoute&) = default;
};
BOOST_DESCRIBE_STRUCT(AgentRoute, (), (port, access_key))

struct ProxyFile {
  std::string version;             // of the program that runs it
  std::string host = "127.0.0.1";  // where it listens; this and the port are read at its start only
  std::uint16_t port = 0;
  Credentials credentials;  // by which it is known, and knows the server
  AgentRoute agent;
  std::vector<ProxyRoute> routes;
  std::vector<ProxyTunnel> tunnels;

  friend bool operator==(const ProxyFile&, const ProxyFile&) = default;
};
BOOST_DESCRIBE_STRUCT(ProxyFile, (), (version, host, port, credentials, agent, routes, tunnels))

// Fails with not_found, io or corrupt. Blocks.
Result<ProxyFile> read_proxy_file(const std::filesystem::path& path);
Result<void> write_proxy_file(const std::filesystem::path& path, const ProxyFile& file);

}  // namespace berth::worker
