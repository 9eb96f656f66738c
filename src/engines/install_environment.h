// The environment in which pip and uv run: the user's index, certificates and proxies, also where
// they are given to pip only, since uv does not read pip's settings. Pure.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace berth::engines {

using Environment = std::map<std::string, std::string>;

// What of `parent` reaches pip and uv: PATH, HOME, locale, PIP_*, UV_*, proxies and certificates;
// less what would install elsewhere (PIP_TARGET, PIP_USER, VIRTUAL_ENV, PYTHONPATH …).
Environment installer_environment(const Environment& parent, const std::filesystem::path& data_dir);

// The output of `pip config list` ("global.index-url='https://…'"), as option → value; a section
// "install" wins over "global", ":env:" over both. Lines that are no setting are ignored.
std::map<std::string, std::string> parse_pip_config(std::string_view output);

// Adds uv's variables for `pip_config` where the user did not set uv's own: index-url →
// UV_DEFAULT_INDEX, extra-index-url → UV_INDEX, find-links → UV_FIND_LINKS (local folders that do
// not exist are left out), cert → SSL_CERT_FILE, trusted-host → UV_INSECURE_HOST, proxy →
// ALL_PROXY, timeout → UV_HTTP_TIMEOUT. Every package is pinned by hash, so that looking it up in
// several indexes is safe.
void add_uv_settings(Environment& environment,
                     const std::map<std::string, std::string>& pip_config);

// Flags of uv for settings of pip that uv has no variable for: "--no-index".
std::vector<std::string> uv_flags(const std::map<std::string, std::string>& pip_config);

// As process::SpawnOptions wants it.
std::vector<std::pair<std::string, std::string>> to_pairs(const Environment& environment);

}  // namespace berth::engines
