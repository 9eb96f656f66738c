#include "server/first_contact.h"

#include "base/files.h"
#include "base/ids.h"
#include "base/json.h"
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

Result<void> write_server_info(const DataFolder& data, const ServerInfo& info) {
  return write_file_atomic(data.server_info(), to_pretty_text(to_json(info)) + "\n", kSecretMode);
}

Result<ServerInfo> read_server_info(const DataFolder& data) {
  BERTH_TRY(const std::string text, read_file(data.server_info(), 64_KiB));
  BERTH_TRY(const auto value, parse_json(text));
  return from_json<ServerInfo>(value, UnknownMembers::ignore);
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

Result<std::string> ensure_worker_key(const DataFolder& data) {
  std::error_code error;
  std::filesystem::create_directories(data.worker(), error);
  if (error) return fail(ErrorCode::io, "making {}: {}", data.worker().string(), error.message());
  auto key = read_key(data.worker_key());
  if (key || key.error().code != ErrorCode::not_found) return key;
  return write_new_key(data.worker_key());
}

}  // namespace berth::server
