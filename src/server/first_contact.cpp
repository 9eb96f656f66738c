#include "server/first_contact.h"

#include "base/files.h"
#include "base/ids.h"
#include "base/json.h"
#include "process/platform/process_info.h"
#include "server/access.h"

#include <filesystem>

namespace berth::server {
namespace {

constexpr mode_t kSecretMode = 0600;
constexpr std::size_t kShortestKey = 32;

// The first line of a file that holds a key.
Result<std::string> read_key(const std::filesystem::path& path) {
  BERTH_TRY(std::string key, read_file(path, 4_KiB));
  key.resize(std::min(key.find_first_of("\r\n"), key.size()));
  if (key.size() < kShortestKey) {
    return fail(ErrorCode::corrupt, "{} holds no key; make a new one with berth key reset-admin",
                path.string());
  }
  return key;
}

Result<std::string> write_new_key(const std::filesystem::path& path) {
  const std::string key = random_key();
  BERTH_CHECK(write_file_atomic(path, key + "\n", kSecretMode));
  return key;
}

}  // namespace

Result<void> write_server_info(const DataFolder& data, ServerInfo info) {
  const auto process = process::platform::process_info(info.pid);
  if (process) info.start_time = process->start_time;
  return write_file_atomic(data.server_info(), to_pretty_text(to_json(info)) + "\n", kSecretMode);
}

Result<ServerInfo> read_server_info(const DataFolder& data) {
  BERTH_TRY(const std::string text, read_file(data.server_info(), 64_KiB));
  BERTH_TRY(const auto value, parse_json(text));
  return from_json<ServerInfo>(value, UnknownMembers::ignore);
}

std::optional<ServerInfo> find_running_server(const DataFolder& data) {
  auto info = read_server_info(data);
  if (!info) return std::nullopt;
  const auto process = process::platform::process_info(info->pid);
  if (!process || process->is_zombie()) return std::nullopt;
  const bool same = info->start_time == 0 || info->start_time == process->start_time;
  if (!same) return std::nullopt;
  return std::move(*info);
}

Error explain_taken(Error error, const DataFolder& data) {
  if (error.code != ErrorCode::conflict) return error;
  const auto first = find_running_server(data);
  const std::string who =
      first ? fmt::format("another server (process {}, {})", first->pid, first->url)
            : std::string("another server");
  return std::move(error).context(
      "{} uses the data folder {}; stop it, or name another folder with --data", who,
      data.root.string());
}

Result<AdminKey> ensure_admin_key(const DataFolder& data, store::Store& store) {
  AdminKey result;
  auto key = read_key(data.admin_key());
  if (!key && key.error().code != ErrorCode::not_found) return fail(std::move(key).error());
  result.created = !key;
  if (!key) key = write_new_key(data.admin_key());
  if (!key) return fail(std::move(key).error());
  result.key = std::move(*key);
  BERTH_CHECK(store_admin_key(store, result.key));
  return result;
}

Result<std::string> reset_admin_key(const DataFolder& data) {
  return write_new_key(data.admin_key());
}

Result<void> write_local_token(const DataFolder& data, const std::string& token) {
  std::error_code error;
  std::filesystem::create_directories(data.worker(), error);
  if (error) return fail(ErrorCode::io, "making {}: {}", data.worker().string(), error.message());
  return write_file_atomic(data.local_token(), token + "\n", kSecretMode);
}

}  // namespace berth::server
