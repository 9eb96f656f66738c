#include "engines/judge.h"

#include "base/files.h"
#include "base/ids.h"
#include "base/json.h"

#include <algorithm>
#include <sys/stat.h>
#include <utility>

namespace berth::engines {

namespace fs = std::filesystem;

namespace {

constexpr std::string_view kEnd = ".json";

// By which a file that was replaced or written to is another one.
std::string identity_of(const fs::path& path) {
  struct stat facts{};
  if (::stat(path.c_str(), &facts) != 0) return path.string() + " is not there";
  return fmt::format("{} {}:{} {} {}.{}", path.string(), facts.st_dev, facts.st_ino, facts.st_size,
                     facts.st_mtim.tv_sec, facts.st_mtim.tv_nsec);
}

std::vector<std::string> command_of(const JudgeQuestion& question) {
  auto argv = question.argv;
  for (const auto& device : question.devices) {
    argv.emplace_back("--judge-device");
    argv.push_back(fmt::format("{}={}:{}", device.name, device.kind, device.memory.count));
  }
  return argv;
}

std::string key_of(const JudgeQuestion& question) {
  std::string all = question.build;
  for (const auto& word : command_of(question)) all += '\0' + word;
  for (const auto& file : question.files) all += '\0' + identity_of(file);
  for (const auto& content : question.contents) all += '\0' + content;
  return sha256_hex(all);
}

// The engine's last complaint: "E llama_model_load: error loading model: …", "error: invalid …".
std::string complaint_in(std::string_view log) {
  std::string_view found;
  while (!log.empty()) {
    const auto end = std::min(log.find('\n'), log.size());
    const auto line = log.substr(0, end);
    log.remove_prefix(std::min(end + 1, log.size()));
    const auto mark = line.find(" E ");
    if (mark != std::string_view::npos) found = line.substr(mark + 3);
    if (line.starts_with("error: ")) found = line;
  }
  return std::string(found.substr(0, 300));
}

// Removes the oldest files above `most`.
void prune(const fs::path& folder, std::size_t most) {
  std::vector<std::pair<fs::file_time_type, fs::path>> files;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    if (it->path().extension() == kEnd) files.emplace_back(it->last_write_time(error), it->path());
  }
  if (files.size() <= most) return;
  std::ranges::sort(files);
  for (std::size_t i = 0; i < files.size() - most; ++i) fs::remove(files[i].second, error);
}

}  // namespace

Result<Judgement> parse_judgement(std::string_view output, std::size_t devices) {
  auto document = parse_json(output);
  if (!document || !document->is_object()) {
    return fail(ErrorCode::io, "the judge did not answer with a JSON object");
  }
  if (const auto* refusal = document->get_object().if_contains("error")) {
    return fail(ErrorCode::unsupported, "{}",
                refusal->is_string() ? std::string_view(refusal->get_string()) : "no reason given");
  }
  auto judgement = from_json<Judgement>(*document, UnknownMembers::ignore);
  if (!judgement) return fail(std::move(judgement).error().context("the judge's answer"));
  if (judgement->devices.size() != devices + 1 || judgement->devices.back().name != "cpu") {
    return fail(ErrorCode::io, "the judge answered for {} devices instead of {} and the host",
                judgement->devices.size(), devices);
  }
  return judgement;
}

Judge::Judge(fs::path folder, CommandRunner& commands, std::size_t most)
    : folder_(std::move(folder)), commands_(commands), most_(most) {}

fs::path Judge::place_of(const JudgeQuestion& question) const {
  return folder_ / (key_of(question) + std::string(kEnd));
}

std::optional<Judgement> Judge::known(const JudgeQuestion& question) const {
  const auto text = read_file(place_of(question), 64_KiB);
  if (!text) return std::nullopt;
  auto judgement = parse_judgement(*text, question.devices.size());
  if (!judgement) return std::nullopt;
  return *std::move(judgement);
}

Result<Judgement> Judge::ask(const JudgeQuestion& question, Duration timeout,
                             std::stop_token stop) {
  // Before the engine reads the files: what changes meanwhile is judged again.
  const auto path = place_of(question);
  if (auto judgement = known(question)) return *std::move(judgement);
  process::SpawnOptions spawn;
  spawn.argv = command_of(question);
  // Nothing of the user's settings may change what the flags say.
  spawn.environment = {{"PATH", "/usr/bin:/bin"}, {"LC_ALL", "C"}};
  BERTH_TRY(const auto output,
            commands_.run(std::move(spawn), {.timeout = timeout, .stop = std::move(stop)}, {}));
  auto judgement = parse_judgement(output.standard_output, question.devices.size());
  if (!judgement) {
    Error error = std::move(judgement).error();
    if (const auto complaint = complaint_in(output.standard_error); !complaint.empty()) {
      error.message += ": " + complaint;
    }
    return fail(std::move(error));
  }
  if (!output.ok())
    return fail(ErrorCode::io, "the judge ended with exit code {}", output.exit_code);
  remember(path, *judgement);
  return judgement;
}

void Judge::remember(const fs::path& path, const Judgement& answer) const {
  std::error_code error;
  fs::create_directories(folder_, error);
  // Not to have it costs a second the next time.
  if (write_file_atomic(path, to_text(to_json(answer)))) prune(folder_, most_);
}

}  // namespace berth::engines
