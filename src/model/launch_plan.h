// LaunchPlan: everything that the supervisor needs to run one engine. A value; computed by a
// backend, carried out by the worker.
#pragma once

#include "base/describe.h"

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace berth::model {

// Who decided a variable or parameter.
enum class Owner { system, backend, user, berth };
BOOST_DESCRIBE_ENUM(Owner, system, backend, user, berth)

struct EnvironmentVariable {
  std::string name;
  std::string value;
  Owner owner = Owner::berth;
  bool secret = false;  // never shown
};
BOOST_DESCRIBE_STRUCT(EnvironmentVariable, (), (name, value, owner, secret))
inline constexpr FieldInfo kVariableFields[] = {{.name = "value", .text = "empty where secret"}};
constexpr std::span<const FieldInfo> field_table(const EnvironmentVariable*) {
  return kVariableFields;
}

struct PlannedFile {
  std::string path;
  std::string content;
  std::uint32_t mode = 0600;
};
BOOST_DESCRIBE_STRUCT(PlannedFile, (), (path, content, mode))

// How to ask the engine whether it serves.
struct HealthProbe {
  std::string path = "/health";  // empty: it is ready once it listens
  std::uint16_t port = 0;
  std::uint16_t expected_status = 200;
};
BOOST_DESCRIBE_STRUCT(HealthProbe, (), (path, port, expected_status))

// A small real request, for engines that answer `LivenessProbe::path` while what computes is stuck.
// Any answer counts.
struct LivenessRequest {
  std::string path;  // of a POST; empty: none is sent
  std::string body;  // JSON
  // How long the engine must have had nothing to do before it gets the first one: longer where the
  // request costs something, such as a prompt that the engine remembers for its next user.
  std::chrono::milliseconds idle_before{std::chrono::minutes(1)};
};
BOOST_DESCRIBE_STRUCT(LivenessRequest, (), (path, body, idle_before))

// How to ask an engine that serves whether it still works: by a route that goes through its main
// loop, so that no answer means that this hangs. Any answer counts.
struct LivenessProbe {
  std::string path;  // empty: it can not be asked
  std::uint16_t port = 0;
  bool needs_key = false;  // wants the instance's engine key
  // Names of figures at `path`, in Prometheus' text format, whose sum is the requests under way.
  // Empty: it does not tell.
  std::vector<std::string> load;
  // Names of figures there whose sum grows whenever the engine computes. Empty: it does not tell,
  // and gets no `request`.
  std::vector<std::string> progress;
  LivenessRequest request;
};
BOOST_DESCRIBE_STRUCT(LivenessProbe, (), (path, port, needs_key, load, progress, request))

struct LaunchPlan {
  std::vector<std::string> argv;
  std::vector<EnvironmentVariable> env;
  std::vector<PlannedFile> files;
  std::string working_directory;
  std::vector<std::uint16_t> ports;
  HealthProbe probe;
  LivenessProbe liveness;
  std::chrono::milliseconds readiness_deadline{std::chrono::minutes(10)};
  int stop_signal = 15;  // SIGTERM
  std::chrono::milliseconds stop_grace{std::chrono::seconds(10)};
  std::vector<std::string> notes;  // asked against in force, for the head of the log
};
BOOST_DESCRIBE_STRUCT(LaunchPlan, (),
                      (argv, env, files, working_directory, ports, probe, liveness,
                       readiness_deadline, stop_signal, stop_grace, notes))

}  // namespace berth::model
