#include "server/access.h"

#include "base/clock.h"
#include "base/ids.h"
#include "model/instance.h"
#include "store/typed.h"

#include <algorithm>
#include <cctype>

namespace berth::server {
namespace {

constexpr std::size_t kPrefixLength = 10;  // "berth_" and four characters

KeyRecord make_record(std::string name, const std::string& key, KeyRole role) {
  return KeyRecord{.name = std::move(name),
                   .hash = sha256_hex(key),
                   .prefix = key.substr(0, kPrefixLength),
                   .role = role,
                   .created_at = to_rfc3339(real_clock().system_now())};
}

bool is_good_name(std::string_view name) {
  return !name.empty() && name.size() <= 100 && std::all_of(name.begin(), name.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.' ||
           c == '@';
  });
}

}  // namespace

Result<void> Access::reload() {
  BERTH_TRY(const auto records, store::list_as<KeyRecord>(store_, model::kKeyKind));
  auto keys = std::make_shared<Keys>();
  for (const auto& record : records.items) {
    keys->emplace(record.value.hash, Principal{record.value.name, record.value.role});
  }
  std::atomic_store(&keys_, std::shared_ptr<const Keys>(std::move(keys)));
  return {};
}

Result<Principal> Access::authenticate(const net::Request& request) const {
  std::string_view key = request.bearer_token();
  if (key.empty()) {
    // Anthropic's clients and some others send the key this way.
    if (const auto header = request.headers.get("x-api-key")) key = *header;
  }
  if (key.empty()) {
    return fail(ErrorCode::unauthenticated,
                "no API key: send it as \"Authorization: Bearer KEY\"; the first one is in "
                "admin.key in the server's data folder");
  }
  const auto keys = std::atomic_load(&keys_);
  const auto found = keys->find(sha256_hex(key));
  if (found == keys->end()) {
    return fail(ErrorCode::unauthenticated, "the API key is not known here");
  }
  return found->second;
}

Result<Principal> Access::authenticate_admin(const net::Request& request) const {
  BERTH_TRY(Principal principal, authenticate(request));
  if (principal.role != KeyRole::admin) {
    return fail(ErrorCode::permission_denied, "the key \"{}\" may use models but not manage them",
                principal.key_name);
  }
  return principal;
}

Result<std::string> Access::create(const std::string& name, KeyRole role) {
  if (!is_good_name(name)) {
    return fail(make_error(ErrorCode::invalid_parameter,
                           "name \"{}\" can not be used: 1 to 100 letters, digits, '-', '_', '.' "
                           "or '@'",
                           name)
                    .with_field("name"));
  }
  const std::string key = random_key();
  auto stored = store::put_new(store_, model::kKeyKind, name, make_record(name, key, role));
  if (!stored) {
    Error error = std::move(stored).error();
    if (error.code == ErrorCode::already_exists) {
      error = make_error(ErrorCode::already_exists, "there is a key named \"{}\" already", name)
                  .with_field("name");
    }
    return fail(std::move(error));
  }
  BERTH_CHECK(reload());
  return key;
}

Result<void> Access::remove(const std::string& name) {
  if (name == kAdminKeyName) {
    return fail(ErrorCode::conflict,
                "the admin's key can not be removed, only replaced: berth key reset-admin");
  }
  auto removed = store_.remove(model::kKeyKind, name);
  if (!removed) {
    Error error = std::move(removed).error();
    if (error.code == ErrorCode::not_found) {
      error = make_error(ErrorCode::not_found, "there is no key named \"{}\"", name);
    }
    return fail(std::move(error));
  }
  return reload();
}

Result<void> store_admin_key(store::Store& store, const std::string& key) {
  const std::string name(kAdminKeyName);
  BERTH_CHECK(
      store.put(model::kKeyKind, name, store::to_data(make_record(name, key, KeyRole::admin))));
  return {};
}

}  // namespace berth::server
