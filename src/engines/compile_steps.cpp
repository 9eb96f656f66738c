#include "engines/compile_steps.h"

#include "engines/runtime.h"

#include <algorithm>
#include <string>
#include <thread>
#include <utility>

namespace berth::engines {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kCores = "{cores}";

// What of the user's environment chooses and serves the compiler.
Environment compiler_settings(const Environment& parent) {
  Environment out;
  for (const auto& [name, value] : parent) {
    const std::string_view known[] = {"CC",
                                      "CXX",
                                      "CFLAGS",
                                      "CXXFLAGS",
                                      "LDFLAGS",
                                      "CUDACXX",
                                      "CUDAHOSTCXX",
                                      "CUDA_PATH",
                                      "CMAKE_C_COMPILER_LAUNCHER",
                                      "CMAKE_CXX_COMPILER_LAUNCHER"};
    if (std::ranges::find(known, name) != std::end(known) || name.starts_with("CCACHE_")) {
      out[name] = value;
    }
  }
  return out;
}

std::string with_cores(std::string text) {
  const auto cores = std::to_string(std::max(std::thread::hardware_concurrency(), 1U));
  for (auto at = text.find(kCores); at != std::string::npos; at = text.find(kCores)) {
    text.replace(at, kCores.size(), cores);
  }
  return text;
}

// What the build is run with: the recipe's own settings, and its tools first on PATH.
Result<Environment> build_environment(const InstallContext& context, const CompileRecipe& recipe,
                                      const Uv& uv, const fs::path& folder) {
  Environment out = uv.environment;
  out.merge(compiler_settings(context.options.environment));
  const auto programs = pack_python(folder).parent_path().string();
  out["PATH"] = out["PATH"].empty() ? programs : programs + ":" + out["PATH"];
  for (const auto& [name, value] : recipe.environment) {
    BERTH_TRY(auto text, substitute({with_cores(value)}, folder));
    out[name] = std::move(text.front());
  }
  return out;
}

}  // namespace

Result<void> check_tools(const InstallContext& context, const CompileRecipe& recipe) {
  for (const auto& tool : recipe.tools) {
    process::SpawnOptions spawn;
    spawn.argv = {tool.program, "--version"};
    spawn.environment =
        to_pairs(installer_environment(context.options.environment, context.options.data_dir));
    const auto output = context.commands.run(
        std::move(spawn),
        {.timeout = std::chrono::seconds(30), .output = 64_KiB, .stop = context.stop}, {});
    if (output && output->ok()) continue;
    if (!output && output.error().code == ErrorCode::cancelled) return fail(output.error());
    return fail(ErrorCode::unavailable,
                "this engine pack is compiled on this machine, and {} is not there; on Debian and "
                "Ubuntu: apt install {}",
                tool.program, tool.apt);
  }
  return {};
}

Result<void> compile_package(const InstallContext& context, const CatalogueEntry& entry,
                             const Uv& uv, const fs::path& folder) {
  const auto& compile = *entry.install->compile;
  BERTH_CHECK(install_packages(context, "installing what the build needs", uv, folder,
                               compile.requirements, {"--no-build"}, 0.28));
  auto builder = uv;
  BERTH_TRY(builder.environment, build_environment(context, compile, uv, folder));
  // Verbose tells what has been compiled. Without the cache: uv would give back what another
  // recipe's settings have built.
  BERTH_CHECK(install_packages(
      context, fmt::format("compiling {}; this takes several minutes", entry.pack.engine), builder,
      folder, entry.install->requirements, {"--verbose", "--no-build-isolation", "--no-cache"},
      0.35));
  BERTH_CHECK(context.run("removing what only the build needed",
                          {uv.program, "pip", "uninstall", "--python", pack_python(folder).string(),
                           "-r", (folder / compile.requirements).string()},
                          uv.environment, folder, 0.88));
  return {};
}

}  // namespace berth::engines
