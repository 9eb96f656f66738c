#include "engines/install_environment.h"

#include <algorithm>
#include <array>
#include <system_error>

namespace berth::engines {

namespace {

constexpr std::array<std::string_view, 23> kPassed = {"PATH",
                                                      "HOME",
                                                      "USER",
                                                      "LOGNAME",
                                                      "LANG",
                                                      "LANGUAGE",
                                                      "TMPDIR",
                                                      "NETRC",
                                                      "http_proxy",
                                                      "https_proxy",
                                                      "all_proxy",
                                                      "no_proxy",
                                                      "HTTP_PROXY",
                                                      "HTTPS_PROXY",
                                                      "ALL_PROXY",
                                                      "NO_PROXY",
                                                      "SSL_CERT_FILE",
                                                      "SSL_CERT_DIR",
                                                      "SSL_CLIENT_CERT",
                                                      "REQUESTS_CA_BUNDLE",
                                                      "CURL_CA_BUNDLE",
                                                      "XDG_CONFIG_HOME",
                                                      "XDG_CONFIG_DIRS"};
constexpr std::array<std::string_view, 3> kPassedPrefixes = {"PIP_", "UV_", "LC_"};
// They would put packages, or look for an interpreter, elsewhere.
constexpr std::array<std::string_view, 13> kRefused = {
    "PIP_TARGET",      "PIP_PREFIX",      "PIP_ROOT",       "PIP_USER",
    "PIP_SRC",         "PIP_REQUIREMENT", "PIP_CONSTRAINT", "PIP_REQUIRE_VIRTUALENV",
    "UV_PYTHON",       "UV_PROJECT",      "UV_WORKING_DIR", "UV_PROJECT_ENVIRONMENT",
    "UV_SYSTEM_PYTHON"};

bool passes(std::string_view name) {
  if (std::ranges::find(kRefused, name) != kRefused.end()) return false;
  return std::ranges::find(kPassed, name) != kPassed.end() ||
         std::ranges::any_of(kPassedPrefixes,
                             [&](std::string_view prefix) { return name.starts_with(prefix); });
}

std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> out;
  constexpr std::string_view kSpace = " \t\r\n";
  while (true) {
    const auto begin = text.find_first_not_of(kSpace);
    if (begin == std::string_view::npos) return out;
    text.remove_prefix(begin);
    const auto end = std::min(text.find_first_of(kSpace), text.size());
    out.emplace_back(text.substr(0, end));
    text.remove_prefix(end);
  }
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string out;
  for (const auto& part : parts) {
    if (!out.empty()) out += separator;
    out += part;
  }
  return out;
}

// A text as Python's repr() prints it.
std::string unquote(std::string_view text) {
  if (text.size() < 2 || (text.front() != '\'' && text.front() != '"')) return std::string(text);
  text = text.substr(1, text.size() - 2);
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 1 < text.size()) {
      ++i;
      out += text[i] == 'n' || text[i] == 't' || text[i] == 'r' ? ' ' : text[i];
    } else {
      out += text[i];
    }
  }
  return out;
}

int rank_of_section(std::string_view section) {
  if (section == "global") return 0;
  if (section == "install") return 1;
  return section == ":env:" ? 2 : -1;
}

bool is_true(std::string_view text) {
  return text == "1" || text == "true" || text == "True" || text == "yes" || text == "on";
}

}  // namespace

Environment installer_environment(const Environment& parent,
                                  const std::filesystem::path& data_dir) {
  Environment out;
  for (const auto& [name, value] : parent) {
    if (passes(name)) out[name] = value;
  }
  out["UV_PYTHON_DOWNLOADS"] = "never";
  out["UV_CACHE_DIR"] = (data_dir / "cache" / "uv").string();
  out["UV_NO_PROGRESS"] = "1";
  out["PIP_CACHE_DIR"] = (data_dir / "cache" / "pip").string();
  out["PIP_DISABLE_PIP_VERSION_CHECK"] = "1";
  out["PIP_NO_INPUT"] = "1";
  out["PYTHONNOUSERSITE"] = "1";
  out["NO_COLOR"] = "1";
  return out;
}

std::map<std::string, std::string> parse_pip_config(std::string_view output) {
  std::map<std::string, std::pair<int, std::string>> found;
  while (!output.empty()) {
    const auto end = std::min(output.find('\n'), output.size());
    const auto line = output.substr(0, end);
    output.remove_prefix(std::min(end + 1, output.size()));
    const auto equals = line.find('=');
    const auto dot = line.find('.');
    if (equals == std::string_view::npos || dot > equals) continue;
    const int rank = rank_of_section(line.substr(0, dot));
    const std::string option(line.substr(dot + 1, equals - dot - 1));
    if (rank < 0) continue;
    const auto [it, added] = found.try_emplace(option, rank, "");
    if (!added && it->second.first > rank) continue;
    it->second = {rank, unquote(line.substr(equals + 1))};
  }
  std::map<std::string, std::string> out;
  for (auto& [option, value] : found) out[option] = std::move(value.second);
  return out;
}

void add_uv_settings(Environment& environment,
                     const std::map<std::string, std::string>& pip_config) {
  const auto option = [&](const std::string& name) {
    const auto found = pip_config.find(name);
    return found == pip_config.end() ? std::string() : found->second;
  };
  const auto set = [&](const std::string& name, const std::string& value) {
    if (!value.empty()) environment.try_emplace(name, value);
  };
  if (!environment.contains("UV_INDEX_URL")) set("UV_DEFAULT_INDEX", option("index-url"));
  if (const auto extra = words(option("extra-index-url"));
      !extra.empty() && !environment.contains("UV_EXTRA_INDEX_URL")) {
    set("UV_INDEX", join(extra, " "));
    set("UV_INDEX_STRATEGY", "unsafe-best-match");
  }
  auto links = words(option("find-links"));
  std::erase_if(links, [](const std::string& link) {
    std::error_code error;
    return link.find("://") == std::string::npos && !std::filesystem::exists(link, error);
  });
  set("UV_FIND_LINKS", join(links, ","));
  set("SSL_CERT_FILE", option("cert"));
  if (const auto bundle = environment.find("REQUESTS_CA_BUNDLE"); bundle != environment.end()) {
    set("SSL_CERT_FILE", bundle->second);
  }
  set("UV_INSECURE_HOST", join(words(option("trusted-host")), " "));
  set("ALL_PROXY", option("proxy"));
  set("UV_HTTP_TIMEOUT", option("timeout").empty() ? option("default-timeout") : option("timeout"));
}

std::vector<std::string> uv_flags(const std::map<std::string, std::string>& pip_config) {
  const auto found = pip_config.find("no-index");
  if (found == pip_config.end() || !is_true(found->second)) return {};
  return {"--no-index"};
}

std::vector<std::pair<std::string, std::string>> to_pairs(const Environment& environment) {
  return {environment.begin(), environment.end()};
}

}  // namespace berth::engines
