#include "engines/install_steps.h"

#include "base/ids.h"
#include "engines/compile_steps.h"
#include "engines/descriptor.h"
#include "engines/folders.h"
#include "engines/runtime.h"

#include <algorithm>
#include <array>
#include <utility>

namespace berth::engines {

namespace fs = std::filesystem;

namespace {

constexpr const char* kUvName = "uv";
constexpr const char* kUvMark = "lock.sha256";  // in the folder of uv, written last

// The last lines of what a command wrote.
std::string last_lines(std::string_view text) {
  constexpr std::size_t kLines = 8;
  text = text.substr(0, text.find_last_not_of(" \r\n") + 1);
  std::size_t begin = text.size();
  for (std::size_t lines = 0; begin != 0 && lines < kLines; ++lines) {
    const auto newline = text.rfind('\n', begin - 1);
    if (newline == std::string_view::npos) return std::string(text);
    begin = newline;
  }
  return std::string(text.substr(std::min(begin + 1, text.size())));
}

Result<void> write_files(const CatalogueEntry& entry, const fs::path& folder) {
  for (const auto& [name, content] : entry.files) {
    const auto path = folder / name;
    std::error_code error;
    fs::create_directories(path.parent_path(), error);
    if (error) return fail_errno(error.value(), "making the folder of {}", path.string());
    BERTH_CHECK(write_file_atomic(path, content));
  }
  return {};
}

// An existing uv that was made from the same lock file and whose interpreter is still there.
bool is_current_uv(const fs::path& folder, const std::string& digest) {
  const auto mark = read_file(folder / kUvMark, 1_KiB);
  std::error_code error;
  return mark && *mark == digest && fs::exists(folder / "bin" / "uv", error) &&
         fs::exists(folder / "bin" / "python", error);
}

Result<void> make_uv(const InstallContext& context, const BasePython& python, const fs::path& root,
                     const std::string& digest, const Environment& environment) {
  BERTH_TRY(auto folder, TemporaryFolder::create(root, kUvName));
  const auto path = folder.path();
  const auto lock = path / "requirements.lock";
  BERTH_CHECK(context.run("making an environment for uv",
                          {python.program, "-I", "-m", "venv", path.string()}, environment, root,
                          0.05));
  BERTH_CHECK(write_file_atomic(lock, context.options.uv_lock));
  BERTH_CHECK(context.run("installing uv",
                          {(path / "bin" / "python").string(), "-m", "pip", "install", "--no-deps",
                           "--require-hashes", "--only-binary", ":all:", "-r", lock.string()},
                          environment, path, 0.1));
  BERTH_CHECK(write_file_atomic(path / kUvMark, digest));
  return std::move(folder).move_to(root / kUvName);
}

// Puts in front of the loader's complaint which package has the library that is missing.
Error with_remedy(Error error, const InstallRecipe& recipe) {
  const auto text = error.to_string();
  for (const auto& library : recipe.system_libraries) {
    if (text.find(library.soname + ":") == std::string::npos) continue;
    error.code = ErrorCode::unavailable;
    return std::move(error).context(
        "the engine needs the shared library {}; on Debian and Ubuntu: apt install {}",
        library.soname, library.apt);
  }
  return error;
}

}  // namespace

void InstallContext::tell(std::string step, double fraction) const {
  if (on_progress) on_progress({.step = std::move(step), .fraction = fraction});
}

Result<std::string> InstallContext::run(std::string_view what, std::vector<std::string> argv,
                                        const Environment& environment, const fs::path& directory,
                                        double fraction) const {
  if (stop.stop_requested()) return fail(ErrorCode::cancelled, "cancelled before {}", what);
  tell(std::string(what), fraction);
  process::SpawnOptions spawn;
  spawn.argv = std::move(argv);
  spawn.environment = to_pairs(environment);
  spawn.working_directory = directory;
  auto output = commands.run(std::move(spawn), {.timeout = options.step_timeout, .stop = stop},
                             [&](process::OutputStream, std::string_view line) {
                               if (auto step = step_in(line)) tell(*std::move(step), fraction);
                             });
  if (!output) return fail(std::move(output).error().context("{} failed", what));
  if (!output->ok()) {
    const auto& text =
        output->standard_error.empty() ? output->standard_output : output->standard_error;
    return fail(make_error(ErrorCode::io, "{}", last_lines(text))
                    .context("{} failed ({})", what,
                             output->signal != 0 ? fmt::format("signal {}", output->signal)
                                                 : fmt::format("exit code {}", output->exit_code)));
  }
  return std::move(output->standard_output);
}

Result<BasePython> find_base_python(const InstallContext& context, const InstallRecipe& recipe) {
  constexpr const char* kQuestion =
      "import sys; print('%d.%d' % sys.version_info[:2]);"
      "print(getattr(sys, '_base_executable', sys.executable));"
      "import ensurepip, venv; print('venv')";
  process::SpawnOptions spawn;
  spawn.argv = {"python3", "-I", "-c", kQuestion};
  spawn.environment =
      to_pairs(installer_environment(context.options.environment, context.options.data_dir));
  const auto output = context.commands.run(
      std::move(spawn),
      {.timeout = std::chrono::seconds(30), .output = 64_KiB, .stop = context.stop}, {});
  if (!output && output.error().code == ErrorCode::not_found) {
    return fail(ErrorCode::unavailable,
                "python3 is needed to install engine packs and is not there; on Debian and Ubuntu: "
                "apt install python3 python3-venv");
  }
  if (!output) return fail(Error(output.error()).context("asking python3 for its version failed"));
  std::array<std::string, 3> lines;
  std::string_view rest = output->standard_output;
  for (auto& line : lines) {
    const auto end = std::min(rest.find('\n'), rest.size());
    line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  BasePython python{.program = lines[1], .version = lines[0]};
  if (!python.version.empty() && !python_fits(recipe.python, python.version)) {
    return fail(ErrorCode::unavailable,
                "python3 is {}, and this engine pack needs {}; put such a python3 first on PATH",
                python.version, recipe.python);
  }
  if (!output->ok() || lines[2] != "venv") {
    return fail(
        ErrorCode::unavailable,
        "python3 has no venv module, which installs engine packs; on Debian and Ubuntu: apt "
        "install python3-venv");
  }
  return python;
}

Result<SpaceReservation> reserve_space(const InstallContext& context, const CatalogueEntry& entry) {
  Bytes need = entry.install->download + entry.install->installed;
  if (entry.install->compile) need += entry.install->compile->scratch;
  const auto& options = context.options;
  auto& ledger = options.space ? *options.space : process_space();
  return ledger.reserve(options.data_dir, need, entry.pack.name);
}

Result<Uv> ensure_uv(const InstallContext& context, const BasePython& python) {
  const auto& options = context.options;
  const auto root = options.data_dir / "tools";
  const auto folder = root / kUvName;
  const auto digest = sha256_hex(options.uv_lock);
  Uv uv{.program = (folder / "bin" / "uv").string(),
        .environment = installer_environment(options.environment, options.data_dir)};
  {
    BERTH_TRY(const auto lock,
              wait_for_lock(root, kUvName, options.lock_timeout, context.stop, [&] {
                context.tell("waiting for another process to install uv", 0.05);
              }));
    remove_leftovers(root, kUvName);
    if (!is_current_uv(folder, digest)) {
      BERTH_CHECK(make_uv(context, python, root, digest, uv.environment));
    }
  }
  BERTH_TRY(const auto config,
            context.run("reading pip's settings",
                        {(folder / "bin" / "python").string(), "-m", "pip", "config", "list"},
                        uv.environment, root, 0.2));
  const auto settings = parse_pip_config(config);
  add_uv_settings(uv.environment, settings);
  uv.flags = uv_flags(settings);
  return uv;
}

Result<void> install_packages(const InstallContext& context, std::string_view what, const Uv& uv,
                              const fs::path& folder, const std::string& lock,
                              const std::vector<std::string>& flags, double fraction) {
  // Bytecode now, since launchers run with -B: an installed pack does not change.
  std::vector<std::string> install = {uv.program,         "pip",
                                      "install",          "--no-deps",
                                      "--require-hashes", "--compile-bytecode",
                                      "--python",         pack_python(folder).string()};
  install.insert(install.end(), flags.begin(), flags.end());
  install.insert(install.end(), uv.flags.begin(), uv.flags.end());
  install.insert(install.end(), {"-r", (folder / lock).string()});
  BERTH_CHECK(context.run(what, std::move(install), uv.environment, folder, fraction));
  return {};
}

Result<PackManifest> build_pack(const InstallContext& context, const CatalogueEntry& entry,
                                const BasePython& python, const Uv& uv, const fs::path& folder) {
  const auto venv = (folder / "venv").string();
  const auto& recipe = *entry.install;
  BERTH_CHECK(write_files(entry, folder));
  // Relocatable: the folder is renamed into place once it is complete.
  BERTH_CHECK(context.run(
      "making an environment",
      {uv.program, "venv", "--no-project", "--relocatable", "--python", python.program, venv},
      uv.environment, folder, 0.25));
  if (recipe.compile) {
    BERTH_CHECK(compile_package(context, entry, uv, folder));
  } else {
    BERTH_CHECK(install_packages(context, "installing the packages", uv, folder,
                                 recipe.requirements, {"--no-build"}, 0.3));
  }
  const auto run_own = [&](std::string_view what, const std::vector<std::string>& command,
                           double fraction) -> Result<void> {
    if (command.empty()) return {};
    BERTH_TRY(auto argv, substitute(command, folder));
    auto ran = context.run(what, std::move(argv), uv.environment, folder, fraction);
    if (!ran) return fail(with_remedy(std::move(ran).error(), recipe));
    return {};
  };
  BERTH_CHECK(run_own("completing the installation", recipe.finish, 0.89));
  BERTH_CHECK(run_own("trying the engine", recipe.check, 0.9));
  return PackManifest{.pack = entry.pack,
                      .digest = recipe_digest(entry),
                      .installed_at = to_rfc3339(real_clock().system_now()),
                      .size = size_of_folder(folder)};
}

}  // namespace berth::engines
