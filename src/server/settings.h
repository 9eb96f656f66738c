// The settings of `berth serve`, as berth.yaml holds them.
#pragma once

#include "base/bytes.h"
#include "base/describe.h"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace berth::server {

enum class LogLevel { trace, debug, info, warn, error };
BOOST_DESCRIBE_ENUM(LogLevel, trace, debug, info, warn, error)

struct ServeSettings {
  std::string listen = "127.0.0.1:8080";
  std::string cluster_listen = "0.0.0.0:8443";
  std::string cluster_advertise;
  bool insecure_http = false;
  bool worker = true;  // start the local worker
  bool leave_engines = false;
  bool engines_by_proxy = false;
  std::uint32_t threads = 0;  // 0: as many as cores, at most 4
  LogLevel log_level = LogLevel::info;
  std::optional<Bytes> download_limit;  // a second
  std::vector<std::string> allow_env;
  std::uint32_t keep_logs = 10;
  std::uint32_t suspect_after = 20;    // seconds
  std::uint32_t lost_after = 60;       // seconds
  std::uint32_t mass_loss_hold = 600;  // seconds
};
BOOST_DESCRIBE_STRUCT(ServeSettings, (),
                      (listen, cluster_listen, cluster_advertise, insecure_http, worker,
                       leave_engines, engines_by_proxy, threads, log_level, download_limit,
                       allow_env, keep_logs, suspect_after, lost_after, mass_loss_hold))
inline constexpr FieldInfo kServeFields[] = {
    {.name = "listen", .text = "address and port of the API, the gateway and the page"},
    {.name = "cluster_listen",
     .text = "address and port for workers of other machines; opened by the first join token"},
    {.name = "cluster_advertise",
     .text = "name or address, and port, by which other machines reach cluster_listen; found out "
             "where empty"},
    {.name = "insecure_http", .text = "allow plain HTTP on an address that others can reach"},
    {.name = "worker", .text = "use this machine's devices by a local worker"},
    {.name = "leave_engines", .text = "engines go on when the server ends"},
    {.name = "engines_by_proxy",
     .text = "reach engines of this machine by its worker's proxy, as those of other machines"},
    {.name = "threads", .text = "threads of the gateway; 0 chooses", .minimum = 0, .maximum = 256},
    {.name = "log_level", .text = "how much the server writes into its log"},
    {.name = "download_limit",
     .text = "what the local worker may download in a second, such as 50MiB; no limit where absent",
     .unit = "bytes"},
    {.name = "allow_env",
     .text = "variables that deployments may set although they could run other code: LD_PRELOAD, "
             "PYTHON*; none where absent"},
    {.name = "keep_logs",
     .text =
         "how many logs of an instance the local worker keeps, one for each start of its engine",
     .minimum = 1,
     .maximum = 1000},
    {.name = "suspect_after",
     .text = "a worker that has been silent for so long gets no new requests",
     .unit = "seconds",
     .minimum = 6,  // it reports every five
     .maximum = 3600},
    {.name = "lost_after",
     .text = "the instances of one that has been silent for so long are placed elsewhere; longer "
             "than suspect_after",
     .unit = "seconds",
     .minimum = 7,
     .maximum = 86400},
    {.name = "mass_loss_hold",
     .text =
         "where more than half of four workers or more are lost at once, for so long nothing is "
         "moved; 0: always move",
     .unit = "seconds",
     .minimum = 0,
     .maximum = 86400},
};
constexpr std::span<const FieldInfo> field_table(const ServeSettings*) { return kServeFields; }

}  // namespace berth::server
