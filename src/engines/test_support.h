// For this module's tests: a folder that goes away, and commands that are answered in place of uv
// and pip.
#pragma once

#include "base/ids.h"
#include "engines/commands.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <string>
#include <vector>

namespace berth::engines::testing {

namespace fs = std::filesystem;

class TestFolder {
 public:
  TestFolder() : path_(fs::temp_directory_path() / ("berth-engines-" + random_id())) {
    fs::create_directories(path_);
  }
  TestFolder(const TestFolder&) = delete;
  TestFolder& operator=(const TestFolder&) = delete;
  ~TestFolder() {
    std::error_code error;
    fs::remove_all(path_, error);
  }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

inline void write(const fs::path& path, const std::string& content, bool executable = false) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << content;
  if (executable) fs::permissions(path, fs::perms::owner_all);
}

// Does what uv, pip and python3 do to the disk, and remembers what it was asked.
class FakeCommands final : public CommandRunner {
 public:
  // May answer in place of the ordinary answer: looked at for each command.
  std::function<std::optional<Result<process::RunOutput>>(const std::string& command)> intercept;
  std::vector<std::string> asked;
  std::vector<process::SpawnOptions> spawned;

  Result<process::RunOutput> run(process::SpawnOptions options, process::RunLimits /*limits*/,
                                 const process::OnLine& on_line) override {
    std::string command = fs::path(options.argv.front()).filename().string();
    for (std::size_t i = 1; i < options.argv.size(); ++i) command += " " + options.argv[i];
    asked.push_back(command);
    spawned.push_back(options);
    if (intercept) {
      if (auto answer = intercept(command)) return *std::move(answer);
    }
    process::RunOutput output;
    if (command.starts_with("python3 -I -c")) {
      output.standard_output = "3.11\n/usr/bin/python3\nvenv\n";
    } else if (command.starts_with("python3 -I -m venv") || command.starts_with("uv venv")) {
      write(fs::path(options.argv.back()) / "bin" / "python", "#!/bin/sh\n", true);
    } else if (command.find("-m pip install") != std::string::npos) {
      write(fs::path(options.argv.front()).parent_path() / "uv", "#!/bin/sh\n", true);
    } else if (command.find("pip config list") != std::string::npos) {
      output.standard_output = "global.index-url='https://mirror.test/simple'\n";
    } else if (command.starts_with("uv pip install") && on_line) {
      on_line(process::OutputStream::error, "Downloading engine (33.2MiB)");
    }
    return output;
  }

  // Whether a command that contains `part` was run.
  [[nodiscard]] int count(const std::string& part) const {
    int found = 0;
    for (const auto& command : asked) found += command.find(part) != std::string::npos ? 1 : 0;
    return found;
  }
};

}  // namespace berth::engines::testing
