// Access: API keys, as hashes in the store, and who a request comes from.
#pragma once

#include "base/describe.h"
#include "base/result.h"
#include "net/http.h"
#include "store/store.h"

#include <atomic>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace berth::server {

enum class KeyRole {
  admin,  // everything
  user,   // the models' API only
};
BOOST_DESCRIBE_ENUM(KeyRole, admin, user)

// A document of kind "key". The key itself is shown once, when it is made, and kept nowhere.
struct KeyRecord {
  std::string name;
  std::string hash;    // SHA-256 of the key
  std::string prefix;  // its first characters, to tell keys apart
  KeyRole role = KeyRole::user;
  std::string created_at;
};
BOOST_DESCRIBE_STRUCT(KeyRecord, (), (name, hash, prefix, role, created_at))
inline constexpr FieldInfo kKeyFields[] = {
    {.name = "name", .text = "how the key is called", .required = true},
    {.name = "hash", .secret = true},
};
constexpr std::span<const FieldInfo> field_table(const KeyRecord*) { return kKeyFields; }

// Who a request comes from.
struct Principal {
  std::string key_name;
  KeyRole role = KeyRole::user;
};

inline constexpr std::string_view kAdminKeyName = "admin";

// Answers from memory; thread-safe.
class Access {
 public:
  explicit Access(store::Store& store) : store_(store), keys_(std::make_shared<const Keys>()) {}

  // Reads the keys from the store. Blocks; call at start and after each change of a key.
  Result<void> reload();

  // The owner of the request's key. Fails with unauthenticated.
  [[nodiscard]] Result<Principal> authenticate(const net::Request& request) const;
  // The same, and fails with permission_denied unless the key is an admin's.
  [[nodiscard]] Result<Principal> authenticate_admin(const net::Request& request) const;

  // Makes a key and returns it; it is in force when this returns. Blocks. Fails with
  // already_exists or invalid_parameter (field "name").
  Result<std::string> create(const std::string& name, KeyRole role);
  // Blocks. Fails with not_found, or conflict for the admin's key.
  Result<void> remove(const std::string& name);

 private:
  using Keys = std::map<std::string, Principal, std::less<>>;  // by hash

  store::Store& store_;
  std::shared_ptr<const Keys> keys_;  // replaced as a whole, through std::atomic_load and _store
};

// Puts the hash of `key` into the store as the admin's, replacing the one before.
Result<void> store_admin_key(store::Store& store, const std::string& key);

}  // namespace berth::server
