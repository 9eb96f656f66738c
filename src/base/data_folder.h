// DataFolder: where everything that Berth keeps on a machine lies.
#pragma once

#include "base/result.h"

#include <filesystem>
#include <optional>
#include <string>

namespace berth {

struct DataFolder {
  std::filesystem::path root;

  [[nodiscard]] std::filesystem::path database() const { return root / "berth.db"; }
  [[nodiscard]] std::filesystem::path admin_key() const { return root / "admin.key"; }
  [[nodiscard]] std::filesystem::path server_info() const { return root / "server.json"; }
  [[nodiscard]] std::filesystem::path server_lock() const { return root / "server.lock"; }
  [[nodiscard]] std::filesystem::path settings() const { return root / "berth.yaml"; }
  [[nodiscard]] std::filesystem::path logs() const { return root / "logs"; }
  [[nodiscard]] std::filesystem::path worker() const { return root / "worker"; }
  // The server's: the cluster's authority and the server's own certificate.
  [[nodiscard]] std::filesystem::path cluster() const { return root / "cluster"; }
  // The worker's: its key and certificate.
  [[nodiscard]] std::filesystem::path membership() const { return worker() / "membership"; }
  // Written by a server for the worker that it starts.
  [[nodiscard]] std::filesystem::path local_token() const { return worker() / "join.token"; }
  [[nodiscard]] std::filesystem::path worker_name() const { return worker() / "name"; }
  [[nodiscard]] std::filesystem::path agent_lock() const { return worker() / "agent.lock"; }
  [[nodiscard]] std::filesystem::path headers() const { return worker() / "headers"; }
  [[nodiscard]] std::filesystem::path judgements() const { return worker() / "judgements"; }
  [[nodiscard]] std::filesystem::path fetched_models() const { return worker() / "models"; }
  [[nodiscard]] std::filesystem::path instances() const { return worker() / "instances"; }
};

// The folder that `given` names, else $BERTH_DATA, else ~/.local/share/berth. Absolute. Fails with
// invalid_parameter where none can be found out.
Result<DataFolder> find_data_folder(const std::optional<std::string>& given = std::nullopt);

// Makes the folder (0700) where it is not there, and sees that it can be written. Fails with io,
// naming the folder and the remedy.
Result<void> create_data_folder(const DataFolder& folder);

}  // namespace berth
