#include "client_settings.h"

#include "base/describe.h"
#include "base/files.h"
#include "text/yaml.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include <fmt/format.h>

namespace berth::app {
namespace {

struct ClientFile {
  std::optional<std::string> server;
  std::optional<std::string> api_key;
};
BOOST_DESCRIBE_STRUCT(ClientFile, (), (server, api_key))
constexpr FieldInfo kClientFileFields[] = {
    {.name = "server", .text = "URL of the server"},
    {.name = "api_key", .text = "the key for it", .secret = true},
};
constexpr std::span<const FieldInfo> field_table(const ClientFile*) { return kClientFileFields; }

std::optional<std::string> variable(const char* name) {
  const char* value = std::getenv(name);
  if (value == nullptr || *value == '\0') return std::nullopt;
  return std::string(value);
}

Result<ClientFile> read_client_file() {
  const auto home = variable("HOME");
  if (!home) return ClientFile{};
  const auto path = std::filesystem::path(*home) / ".config" / "berth" / "client.yaml";
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return ClientFile{};
  BERTH_TRY(const auto document, text::read_yaml_file(path));
  if (document.is_null()) return ClientFile{};
  auto file = from_json<ClientFile>(document, UnknownMembers::refuse);
  if (!file) return fail(std::move(file).error().context("{}", path.string()));
  return file;
}

// A server that was named, and by what.
struct NamedServer {
  std::string url;
  std::string source;
  std::optional<std::string> key;  // that stands beside it
};

Result<std::optional<NamedServer>> find_named_server(const CommonOptions& common) {
  using Found = std::optional<NamedServer>;
  if (common.server) return Found({.url = *common.server, .source = "--server", .key = {}});
  if (const auto url = variable("BERTH_SERVER")) {
    return Found({.url = *url, .source = "BERTH_SERVER", .key = {}});
  }
  if (common.data) return Found();
  BERTH_TRY(auto file, read_client_file());
  if (!file.server) return Found();
  return Found({.url = *file.server, .source = "client.yaml", .key = std::move(file.api_key)});
}

Result<std::string> read_admin_key(const DataFolder& data) {
  auto key = read_file(data.admin_key(), 4_KiB);
  if (!key) {
    return fail(std::move(key).error().context(
        "the API key can not be read; give one in BERTH_API_KEY, or make another with berth key "
        "reset-admin"));
  }
  key->resize(std::min(key->find_first_of("\r\n"), key->size()));
  return key;
}

Result<void> use_url(ClientSettings& settings, const std::string& text, std::string_view source) {
  auto url = net::parse_url(text);
  if (!url) return fail(std::move(url).error().context("{} does not name a server", source));
  if (url->scheme != "http") {
    return fail(ErrorCode::invalid_parameter,
                "{}: this version talks to servers over plain http only, best through a tunnel "
                "(ssh -L 8080:127.0.0.1:8080 HOST)",
                text);
  }
  if (url->target != "/") {
    return fail(ErrorCode::invalid_parameter, "{} \"{}\" must be a server without a path", source,
                text);
  }
  settings.server = url->endpoint;
  settings.url = "http://" + net::to_string(url->endpoint);
  settings.same_machine = is_loopback(settings.server.host);
  return {};
}

}  // namespace

bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

std::optional<server::ServerInfo> find_running_server(const DataFolder& data) {
  return server::find_running_server(data);
}

Result<bool> names_a_server(const CommonOptions& common) {
  BERTH_TRY(const auto named, find_named_server(common));
  return named.has_value();
}

Result<ClientSettings> find_client_settings(const CommonOptions& common) {
  ClientSettings settings;
  BERTH_TRY(const auto named, find_named_server(common));
  BERTH_TRY(const DataFolder data, find_data_folder(common.data));
  const auto running = find_running_server(data);
  if (named) {
    BERTH_CHECK(use_url(settings, named->url, named->source));
  } else if (running) {
    BERTH_CHECK(use_url(settings, running->url, data.server_info().string()));
  } else {
    return fail(ErrorCode::unavailable,
                "no server runs on {}; start one with berth serve, or name one with --server",
                data.root.string());
  }
  if (common.api_key) {
    settings.api_key = *common.api_key;
    settings.key_source = "--api-key";
  } else if (auto key = variable("BERTH_API_KEY")) {
    settings.api_key = std::move(*key);
    settings.key_source = "BERTH_API_KEY";
  } else if (named && named->key) {
    settings.api_key = *named->key;
    settings.key_source = "client.yaml";
  } else if (running && running->url == settings.url) {
    BERTH_TRY(settings.api_key, read_admin_key(data));
    settings.key_source = data.admin_key().string();
  } else {
    return fail(ErrorCode::unauthenticated, "there is no API key for {}; give it in BERTH_API_KEY",
                settings.url);
  }
  if (!settings.same_machine) {
    fmt::print(stderr, "berth: warning: the API key goes to {} unprotected (plain http)\n",
               settings.url);
  }
  return settings;
}

}  // namespace berth::app
