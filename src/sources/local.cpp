#include "sources/local.h"

#include "base/ids.h"
#include "base/regular_file.h"
#include "sources/address.h"
#include "sources/hub/name.h"

#include <algorithm>

namespace berth::sources {
namespace {

template <class... Args>
tl::unexpected<Error> refuse(fmt::format_string<Args...> format, Args&&... args) {
  return fail(make_error(ErrorCode::invalid_parameter, format, std::forward<Args>(args)...)
                  .with_field("source"));
}

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

// "%20" becomes a space.
Result<std::string> unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? hex_digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      return refuse("source: a % must be followed by two hexadecimal digits in {}", text);
    }
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

// The path of what follows "file:".
Result<std::string> path_of_url(std::string_view rest) {
  if (rest.starts_with("//")) {
    rest.remove_prefix(2);
    if (rest.starts_with("localhost/")) rest.remove_prefix(9);
    if (!rest.starts_with('/')) {
      return refuse("source: file://{} names another machine; write file:/path", rest);
    }
  }
  return unescape(rest);
}

}  // namespace

Result<std::filesystem::path> normalise_source(std::string_view text,
                                               const std::filesystem::path& cwd) {
  if (is_address(text)) {
    return fail(make_error(ErrorCode::unsupported,
                           "source: a model at a web address can be inspected (berth inspect), but "
                           "not served; download it and give its local path, or name it on its "
                           "hub (hf:ORG/NAME)")
                    .with_field("source"));
  }
  if (is_hub_name(text)) {
    return refuse("source: {} is the name of a model on a hub; a path is wanted here", text);
  }
  std::string path(text);
  if (text.starts_with("file:")) {
    BERTH_TRY(path, path_of_url(text.substr(5)));
  }
  if (path.empty()) return refuse("source: it is empty; give the path of a model");
  if (path.find('\0') != std::string::npos) {
    return refuse("source: a path may not contain a NUL character");
  }
  if (path == "~" || path.starts_with("~/")) {
    return refuse("source: {} is not expanded here; give an absolute path", path);
  }
  if (!path.starts_with('/') && !cwd.is_absolute()) {
    return refuse("source: {} is not an absolute path", path);
  }
  std::filesystem::path normal = (cwd / path).lexically_normal();
  if (!normal.has_filename() && normal.has_relative_path()) normal = normal.parent_path();
  return normal;
}

Result<std::string> normalise_model(std::string_view text, const std::filesystem::path& cwd) {
  if (!is_hub_name(text)) {
    BERTH_TRY(const auto path, normalise_source(text, cwd));
    return path.string();
  }
  BERTH_TRY(const auto name, parse_hub_name(text));
  return to_text(name);
}

Result<FileIdentity> identify_file(const std::filesystem::path& path) {
  BERTH_TRY(const auto file, RegularFile::open(path));
  const Bytes length = std::min(file.size(), 64_KiB);
  std::string header(length.count, '\0');
  BERTH_CHECK(file.read_at(0, std::as_writable_bytes(std::span(header))));
  return FileIdentity{
      .size = file.size(), .mtime = file.mtime(), .header_sha256 = sha256_hex(header)};
}

}  // namespace berth::sources
