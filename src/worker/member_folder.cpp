#include "worker/member_folder.h"

#include "base/files.h"
#include "base/json.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace berth::worker {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kNote = "member.json";
constexpr std::string_view kLogStart = "attempt-";
constexpr std::string_view kLogEnd = ".log";

// 7 of "attempt-7.log".
std::optional<std::uint32_t> attempt_of(std::string_view file) {
  if (!file.starts_with(kLogStart) || !file.ends_with(kLogEnd)) return std::nullopt;
  file.remove_prefix(kLogStart.size());
  file.remove_suffix(kLogEnd.size());
  std::uint32_t attempt = 0;
  const auto [end, error] = std::from_chars(file.data(), file.data() + file.size(), attempt);
  if (error != std::errc{} || end != file.data() + file.size()) return std::nullopt;
  return attempt;
}

// The folders of an instance's members, the newest generation last.
std::vector<fs::path> generations_of(const fs::path& instance) {
  std::vector<std::pair<std::uint64_t, fs::path>> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(instance, error)) {
    const std::string name = entry.path().filename();
    found.emplace_back(std::strtoull(name.c_str(), nullptr, 10), entry.path());
  }
  std::sort(found.begin(), found.end());
  std::vector<fs::path> paths;
  paths.reserve(found.size());
  for (auto& [generation, path] : found) paths.push_back(std::move(path));
  return paths;
}

std::string quote(const std::string& argument) {
  const bool plain = !argument.empty() &&
                     argument.find_first_of(" \t\n\"'\\$`!*?(){}[];<>|&#~") == std::string::npos;
  if (plain) return argument;
  std::string quoted = "'";
  for (const char c : argument) quoted += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return quoted + "'";
}

// On one line, whatever a user put into it.
std::string one_line(const std::string& text) {
  std::string line;
  for (const char c : text) {
    if (c == '\n' || c == '\r') {
      line += c == '\n' ? "\\n" : "\\r";
    } else {
      line += c;
    }
  }
  return line;
}

}  // namespace

std::vector<std::uint16_t> MemberNote::ports() const {
  std::vector<std::uint16_t> all{port};
  all.insert(all.end(), other_ports.begin(), other_ports.end());
  return all;
}

std::string process_tag(const std::string& instance, std::uint32_t member) {
  return member == 0 ? instance : fmt::format("{}.{}", instance, member);
}

MemberFolder::MemberFolder(const DataFolder& data, const std::string& instance,
                           std::uint64_t generation, std::uint32_t member)
    : path_(data.instances() / instance / fmt::format("{}.{}", generation, member)) {}

fs::path MemberFolder::log(std::uint32_t attempt) const {
  return path_ / fmt::format("{}{}{}", kLogStart, attempt, kLogEnd);
}

Result<void> MemberFolder::create() const {
  std::error_code error;
  fs::create_directories(path_, error);
  if (error) return fail(ErrorCode::io, "making {}: {}", path_.string(), error.message());
  return {};
}

Result<void> MemberFolder::write_note(const MemberNote& note) const {
  return write_file_atomic(path_ / kNote, to_text(to_json(note)), 0600);
}

Result<MemberNote> MemberFolder::read_note() const {
  BERTH_TRY(const std::string text, read_file(path_ / kNote, 1_MiB));
  BERTH_TRY(const auto value, parse_json(text));
  return from_json<MemberNote>(value, UnknownMembers::ignore);
}

void MemberFolder::forget_old_logs(std::uint32_t attempt, std::uint32_t kept) const {
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(path_, error)) {
    const std::string name = entry.path().filename();
    std::string_view log = name;
    for (const std::string_view beside : {".1", ".times"}) {
      if (log.ends_with(beside)) log.remove_suffix(beside.size());
    }
    const auto number = attempt_of(log);
    if (number && std::uint64_t{*number} + kept <= attempt) fs::remove(entry.path(), error);
  }
}

void MemberFolder::remove() const {
  std::error_code error;
  fs::remove_all(path_, error);
  fs::remove(path_.parent_path(), error);  // fails where other generations are in it
}

std::vector<MemberFolder> find_member_folders(const DataFolder& data) {
  std::vector<MemberFolder> folders;
  std::error_code error;
  for (const auto& instance : fs::directory_iterator(data.instances(), error)) {
    for (const auto& path : generations_of(instance.path())) {
      if (fs::exists(path / kNote, error)) folders.emplace_back(path);
    }
  }
  return folders;
}

Result<std::vector<AttemptLog>> list_logs(const DataFolder& data, const std::string& instance,
                                          std::uint32_t member) {
  const bool is_plain = !instance.empty() && instance.find('/') == std::string::npos &&
                        instance != "." && instance != "..";
  if (!is_plain) return fail(ErrorCode::not_found, "there is no instance \"{}\"", instance);
  std::vector<AttemptLog> logs;
  for (const auto& path : generations_of(data.instances() / instance)) {
    if (path.extension() != fmt::format(".{}", member)) continue;
    logs.clear();
    std::error_code error;
    for (const auto& entry : fs::directory_iterator(path, error)) {
      if (const auto number = attempt_of(entry.path().filename().string())) {
        logs.push_back({*number, entry.path()});
      }
    }
  }
  if (logs.empty()) {
    return fail(ErrorCode::not_found, "{} has no log{} yet", instance,
                member == 0 ? std::string() : fmt::format(" of its process {}", member));
  }
  std::ranges::sort(logs, {}, &AttemptLog::attempt);
  return logs;
}

Result<AttemptLog> choose_log(const std::vector<AttemptLog>& logs, const std::string& instance,
                              std::optional<std::uint32_t> attempt, bool previous) {
  if (previous && logs.size() < 2) {
    return fail(ErrorCode::not_found, "{} has no earlier log yet", instance);
  }
  if (!attempt) return logs[logs.size() - (previous ? 2 : 1)];
  const auto found = std::ranges::find(logs, *attempt, &AttemptLog::attempt);
  if (found == logs.end()) {
    return fail(ErrorCode::not_found, "the log of attempt {} of {} is not there; kept are {} to {}",
                *attempt, instance, logs.front().attempt, logs.back().attempt);
  }
  return *found;
}

std::string log_head(const MemberNote& note, const model::LaunchPlan& plan,
                     const std::string& now) {
  std::string head = fmt::format("# {} attempt {} of {} (generation {})\n", now, note.attempt,
                                 note.instance, note.generation);
  for (const auto& line : plan.notes) head += "# " + one_line(line) + "\n";
  head += "# environment:\n";
  for (const auto& variable : plan.env) {
    head +=
        fmt::format("#   {}={}  ({})\n", variable.name,
                    variable.secret ? "***" : one_line(variable.value), enum_name(variable.owner));
  }
  head += "# command:";
  for (const auto& argument : plan.argv) head += " " + quote(one_line(argument));
  return head + "\n";
}

}  // namespace berth::worker
