// berth edit: a deployment in the user's editor.
#include "base/files.h"
#include "command.h"
#include "deployment_files.h"
#include "process/spawn.h"
#include "terminal.h"
#include "text/deployment_file.h"
#include "wait.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <sys/wait.h>

#include <fmt/format.h>
#include <unistd.h>

namespace berth::app {
namespace {

constexpr Bytes kLargestText = 4_MiB;

// VISUAL, EDITOR, else vi, which needs a terminal.
Result<std::string> find_editor() {
  for (const char* name : {"VISUAL", "EDITOR"}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') return std::string(value);
  }
  if (is_terminal(STDIN_FILENO) && is_terminal(STDOUT_FILENO)) return std::string("vi");
  return fail(ErrorCode::invalid_parameter,
              "there is no terminal for an editor, and neither VISUAL nor EDITOR names one; use "
              "berth get and berth apply instead");
}

// A file of ours alone with `content`.
Result<std::filesystem::path> make_file(const std::string& content) {
  std::error_code error;
  const auto folder = std::filesystem::temp_directory_path(error);
  if (error)
    return fail(ErrorCode::io, "there is no folder for temporary files: {}", error.message());
  std::string path = (folder / "berth-edit-XXXXXX.yaml").string();
  const int fd = ::mkstemps(path.data(), 5);
  if (fd < 0) return fail_errno(errno, "making a file in {}", folder.string());
  ::close(fd);
  BERTH_CHECK(write_file_atomic(path, content, 0600));
  return std::filesystem::path(path);
}

// While an editor has the terminal, Ctrl-C is for it.
class IgnoredSignals {
 public:
  IgnoredSignals()
      : interrupt_(std::signal(SIGINT, SIG_IGN)), quit_(std::signal(SIGQUIT, SIG_IGN)) {}
  ~IgnoredSignals() {
    std::signal(SIGINT, interrupt_);
    std::signal(SIGQUIT, quit_);
  }
  IgnoredSignals(const IgnoredSignals&) = delete;
  IgnoredSignals& operator=(const IgnoredSignals&) = delete;

 private:
  using Handler = void (*)(int);
  Handler interrupt_;
  Handler quit_;
};

// Waits until the editor has ended. It may be a command with arguments, such as "code --wait".
Result<void> run_editor(const std::string& editor, const std::filesystem::path& file) {
  const IgnoredSignals ignored;
  const process::Stdio ours{.kind = process::Stdio::Kind::inherit};
  process::SpawnOptions options{.argv = {"/bin/sh", "-c", editor + " \"$@\"", "sh", file.string()},
                                .standard_input = ours,
                                .standard_output = ours,
                                .standard_error = ours,
                                .new_session = false};
  BERTH_TRY(const auto child, process::spawn(options));
  int status = 0;
  while (::waitpid(child.identity.pid, &status, 0) < 0) {
    if (errno != EINTR) return fail_errno(errno, "waiting for the editor {}", editor);
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return fail(ErrorCode::cancelled, "the editor \"{}\" failed, so nothing was changed", editor);
}

std::string head_of(const InForce& before) {
  return fmt::format(
      "# The deployment {} at revision {}. Nothing changes where you leave it as it is.\n"
      "# Absent fields have their defaults; berth schema deployment tells all of them.\n",
      before.deployment.name, before.revision);
}

Result<model::Deployment> read_edited(const std::string& content, const std::filesystem::path& file,
                                      const std::string& name) {
  std::error_code error;
  const auto here = std::filesystem::current_path(error);
  BERTH_TRY(auto found, read_deployment_text(content, file.string(), error ? "/" : here.string()));
  if (found.size() != 1) {
    return fail(ErrorCode::invalid_parameter, "{} must hold one deployment, not {}", file.string(),
                found.size());
  }
  if (found.front().name != name) {
    return fail(make_error(ErrorCode::invalid_parameter,
                           "name can not be changed from {} to {}; berth apply makes another model",
                           name, found.front().name)
                    .with_field("name"));
  }
  return std::move(found.front());
}

// Puts the edited text in force. Nothing: it says what was said before.
Result<std::optional<PutView>> put_edited(const ApiClient& client, const InForce& before,
                                          const std::string& content,
                                          const std::filesystem::path& file) {
  BERTH_TRY(const auto deployment, read_edited(content, file, before.deployment.name));
  if (to_json(deployment, Secrets::show) == to_json(before.deployment, Secrets::show)) {
    return std::optional<PutView>();
  }
  BERTH_TRY(auto outcome, put_deployment(client, deployment, before, PutMode::write));
  return std::optional<PutView>(std::move(outcome));
}

Error with_kept_file(Error error, const std::filesystem::path& file) {
  const bool moved_on = error.code == ErrorCode::conflict;
  error.causes.push_back(fmt::format(
      "\n  Your text is kept in {}: {}berth apply -f {} puts it in force", file.string(),
      moved_on ? fmt::format("berth diff -f {} shows what it would change now, ", file.string())
               : "once it is mended, ",
      file.string()));
  return error;
}

void print_outcome(const CommonOptions& common, const std::string& name,
                   const std::optional<PutView>& outcome) {
  if (common.json) {
    print_json(outcome ? json::value(outcome->answer)
                       : json::object{{"name", name}, {"outcome", "unchanged"}});
    return;
  }
  if (!outcome) {
    fmt::print("{} unchanged\n", name);
    return;
  }
  fmt::print("{} {}{}\n", name, outcome->outcome,
             outcome->replaces_instances ? " (replaces its instances)" : "");
}

Result<void> edit(const CommonOptions& common, const std::string& name) {
  BERTH_TRY(const auto editor, find_editor());
  BERTH_TRY(const auto client, ApiClient::connect(common));
  BERTH_TRY(const auto before, find_in_force(client, name));
  if (!before) {
    return fail(ErrorCode::not_found, "there is no model named \"{}\"; see berth models", name);
  }
  const std::string head = head_of(*before);
  const std::string shown = head + text::to_yaml(before->deployment);
  BERTH_TRY(const auto file, make_file(shown));
  auto edited = run_editor(editor, file);
  std::error_code ignored;
  auto content = read_file(file, kLargestText);
  const bool is_same = !content || *content == shown;
  if (is_same || !edited) {
    // A text that an editor left behind when it failed may be worth something.
    if (!edited && !is_same) return fail(with_kept_file(std::move(edited).error(), file));
    std::filesystem::remove(file, ignored);
    if (!edited) return fail(std::move(edited).error());
    if (!content) return fail(std::move(content).error());
    print_outcome(common, name, std::nullopt);
    return {};
  }
  auto outcome = put_edited(client, *before, *content, file);
  if (!outcome) return fail(with_kept_file(std::move(outcome).error(), file));
  std::filesystem::remove(file, ignored);
  print_outcome(common, name, *outcome);
  return {};
}

}  // namespace

void add_edit(CLI::App& app, const CommonOptions& common, Command& command) {
  auto* edit_command = app.add_subcommand("edit", "Change a deployment in your editor");
  auto name = std::make_shared<std::string>();
  edit_command->add_option("MODEL", *name, "The model")->required();
  edit_command->footer(
      "The editor is VISUAL, EDITOR or vi. Where something is wrong, your text is kept.\n"
      "Example: EDITOR=nano berth edit chat");
  edit_command->callback([&common, &command, name] {
    command = [&common, name] {
      const auto result = edit(common, *name);
      return result ? kDone : report(result.error());
    };
  });
}

}  // namespace berth::app
