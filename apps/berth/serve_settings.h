// The settings of `berth serve`: a flag wins over BERTH_*, which wins over berth.yaml.
#pragma once

#include "base/data_folder.h"
#include "base/describe.h"

#include <cstdint>
#include <optional>
#include <string>

namespace berth::app {

struct ServeSettings {
  std::string listen = "127.0.0.1:8080";
  bool insecure_http = false;
  bool worker = true;  // start the local worker
  bool leave_engines = false;
  bool engines_by_proxy = false;
  std::uint32_t threads = 0;  // 0: as many as cores, at most 4
  std::string log_level = "info";
};
BOOST_DESCRIBE_STRUCT(ServeSettings, (),
                      (listen, insecure_http, worker, leave_engines, engines_by_proxy, threads,
                       log_level))
inline constexpr FieldInfo kServeFields[] = {
    {.name = "listen", .text = "address and port of the API, the gateway and the page"},
    {.name = "insecure_http", .text = "allow plain HTTP on an address that others can reach"},
    {.name = "worker", .text = "use this machine's devices by a local worker"},
    {.name = "leave_engines", .text = "engines go on when the server ends"},
    {.name = "engines_by_proxy",
     .text = "reach engines of this machine by its worker's proxy, as those of other machines"},
    {.name = "threads", .text = "threads of the gateway; 0 chooses", .minimum = 0, .maximum = 256},
    {.name = "log_level", .text = "trace, debug, info, warn or error"},
};
constexpr std::span<const FieldInfo> field_table(const ServeSettings*) { return kServeFields; }

// Settings of the file and then of the environment, over the defaults. `file` must exist where it
// is given; else berth.yaml in the data folder is read if it is there. Fails with
// invalid_parameter, naming the file and the field or the variable.
Result<ServeSettings> read_serve_settings(const DataFolder& data,
                                          const std::optional<std::string>& file);

}  // namespace berth::app
