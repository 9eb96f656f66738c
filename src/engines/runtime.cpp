#include "engines/runtime.h"

namespace berth::engines {

namespace {

Result<std::string> substitute(std::string_view text, const std::filesystem::path& folder) {
  std::string out;
  std::size_t position = 0;
  while (position < text.size()) {
    const auto open = text.find('{', position);
    out += text.substr(position, open == std::string_view::npos ? open : open - position);
    if (open == std::string_view::npos) break;
    const auto close = text.find('}', open);
    const auto name = text.substr(open, close == std::string_view::npos ? close : close - open + 1);
    if (name == "{pack}") {
      out += folder.string();
    } else if (name == "{python}") {
      out += pack_python(folder).string();
    } else {
      return fail(ErrorCode::invalid_parameter,
                  "{} in \"{}\" is no placeholder; {{pack}} and {{python}} are", name, text);
    }
    position = close + 1;
  }
  return out;
}

}  // namespace

Result<std::vector<std::string>> substitute(const std::vector<std::string>& argv,
                                            const std::filesystem::path& folder) {
  std::vector<std::string> out;
  out.reserve(argv.size());
  for (const auto& argument : argv) {
    BERTH_TRY(auto text, substitute(std::string_view(argument), folder));
    out.push_back(std::move(text));
  }
  return out;
}

Result<std::vector<std::string>> program_argv(const model::PackStatus& status) {
  if (status.state != model::PackState::installed) {
    return fail(ErrorCode::conflict, "the engine pack {} is not installed ({})", status.pack.name,
                status.reason.empty() ? enum_name(status.state) : std::string_view(status.reason));
  }
  BERTH_TRY(auto argv, substitute(status.pack.program, status.folder));
  if (argv.empty() || !argv.front().starts_with('/')) {
    return fail(ErrorCode::invalid_parameter,
                "the program of the engine pack {} is no absolute path: \"{}\"", status.pack.name,
                argv.empty() ? "" : argv.front());
  }
  return argv;
}

std::filesystem::path pack_python(const std::filesystem::path& folder) {
  return folder / "venv" / "bin" / "python";
}

}  // namespace berth::engines
