#include "worker/log_trail.h"

#include "base/files.h"
#include "worker/since.h"

#include <algorithm>
#include <charconv>
#include <sstream>
#include <sys/stat.h>
#include <utility>

#include <fcntl.h>
#include <unistd.h>

namespace berth::worker {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPiece = 64 << 10;
constexpr Bytes kTailLimit = 16_MiB;
constexpr Bytes kMarksLimit = 32_MiB;
// The shim notes a time a second: what came within one stands behind the mark of its beginning.
constexpr std::chrono::seconds kBetweenMarks{1};

off_t size_of(const fs::path& path) {
  std::error_code error;
  const auto size = fs::file_size(path, error);
  return error ? 0 : static_cast<off_t>(size);
}

struct Mark {
  SystemTime time;
  off_t offset = 0;
};

// "1764000000123 4096": milliseconds since the epoch, and how long the log was.
std::optional<Mark> read_mark(std::string_view line) {
  std::int64_t milliseconds = 0;
  std::int64_t offset = 0;
  const auto* end = line.data() + line.size();
  const auto [space, error] = std::from_chars(line.data(), end, milliseconds);
  if (error != std::errc{} || space == end || *space != ' ') return std::nullopt;
  const auto [stop, wrong] = std::from_chars(space + 1, end, offset);
  if (wrong != std::errc{} || stop != end) return std::nullopt;
  return Mark{.time = SystemTime(std::chrono::milliseconds(milliseconds)), .offset = offset};
}

bool was_written_since(const fs::path& path, SystemTime since) {
  struct stat facts{};
  if (::stat(path.c_str(), &facts) != 0) return false;
  return SystemTime(std::chrono::seconds(facts.st_mtim.tv_sec)) >= since - kBetweenMarks;
}

}  // namespace

off_t offset_since(const fs::path& log, SystemTime since) {
  const auto text = read_file(fs::path(log) += ".times", kMarksLimit);
  std::istringstream lines(text.value_or(""));
  bool first = true;
  for (std::string line; std::getline(lines, line); first = false) {
    const auto mark = read_mark(line);
    if (!mark || mark->time < since - kBetweenMarks) continue;
    return first ? 0 : mark->offset;  // with the head, which stands before the first
  }
  const bool has_marks = !first;
  return !has_marks && was_written_since(log, since) ? 0 : size_of(log);
}

off_t offset_of_time(const fs::path& log, SystemTime since) {
  const auto text = read_file(log, kMarksLimit);
  if (!text) return 0;
  for (std::size_t begin = 0; begin < text->size();) {
    const auto end = std::min(text->find('\n', begin), text->size());
    const auto time = leading_time(std::string_view(*text).substr(begin, end - begin));
    if (time && *time >= since) return static_cast<off_t>(begin);
    begin = end + 1;
  }
  return static_cast<off_t>(text->size());
}

LogTrail::LogTrail(LogTrail&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::move(other.data_)),
      instance_(std::move(other.instance_)),
      member_(other.member_),
      attempt_(other.attempt_),
      stays_(other.stays_),
      first_(std::move(other.first_)),
      fd_(std::exchange(other.fd_, -1)),
      offset_(other.offset_) {}

LogTrail::~LogTrail() {
  if (fd_ >= 0) ::close(fd_);
}

Result<LogTrail> LogTrail::of_instance(const DataFolder& data, const std::string& instance,
                                       const LogWish& wish) {
  BERTH_TRY(const auto logs, list_logs(data, instance, wish.member));
  BERTH_TRY(auto wanted, choose_log(logs, instance, wish.attempt, wish.previous));
  const bool stays = wish.attempt || wish.previous;
  off_t offset = 0;
  if (wish.since) {
    // The first one that wrote something since, unless one is named, or only the last lines count.
    for (const auto& log : logs) {
      if (stays || wish.tail) break;
      if (offset_since(log.path, *wish.since) == size_of(log.path)) continue;
      wanted = log;
      break;
    }
    offset = offset_since(wanted.path, *wish.since);
  }
  LogTrail trail(wanted.path);
  trail.data_ = data;
  trail.instance_ = instance;
  trail.member_ = wish.member;
  trail.attempt_ = wanted.attempt;
  trail.stays_ = stays;
  trail.begin_at(offset, wish.tail);
  return trail;
}

Result<LogTrail> LogTrail::of_worker(const DataFolder& data, const LogWish& wish) {
  LogTrail trail(data.logs() / "worker.log");
  std::error_code error;
  if (!fs::exists(trail.path_, error)) {
    return fail(ErrorCode::not_found, "the worker has written no log yet");
  }
  trail.begin_at(wish.since ? offset_of_time(trail.path_, *wish.since) : 0, wish.tail);
  return trail;
}

void LogTrail::begin_at(off_t offset, const std::optional<std::size_t>& tail) {
  offset_ = offset;
  if (!tail) return;
  const auto end = std::max(size_of(path_), offset);
  const Bytes behind{static_cast<std::uint64_t>(end - offset)};
  if (*tail > 0 && behind.count > 0) {
    first_ = read_last_lines(path_, *tail, std::min(kTailLimit, behind),
                             Bytes{static_cast<std::uint64_t>(end)});
  }
  offset_ = end;
}

Result<std::string> LogTrail::next() {
  if (!first_.empty()) return std::exchange(first_, {});
  BERTH_TRY(auto piece, read_on());
  if (!piece.empty() || stays_ || !data_) return piece;
  auto later = next_attempt();
  if (!later) return piece;
  // It may have written its last lines between the two looks.
  BERTH_TRY(piece, read_on());
  if (!piece.empty()) return piece;
  move_to(*std::move(later));
  return read_on();
}

bool LogTrail::is_over() const {
  std::error_code error;
  if (!fs::exists(path_.parent_path(), error)) return true;
  return stays_ && next_attempt().has_value();
}

void LogTrail::move_to(AttemptLog log) {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
  offset_ = 0;
  path_ = std::move(log.path);
  attempt_ = log.attempt;
}

std::optional<AttemptLog> LogTrail::next_attempt() const {
  if (!data_ || !attempt_) return std::nullopt;
  const auto logs = list_logs(*data_, instance_, member_);
  if (!logs) return std::nullopt;
  const auto found = std::ranges::find_if(*logs, [&](const AttemptLog& log) {
    // Those of a later generation lie in another folder.
    return log.path.parent_path() != path_.parent_path() || log.attempt > *attempt_;
  });
  if (found == logs->end()) return std::nullopt;
  return *found;
}

Result<std::string> LogTrail::read_on() {
  if (fd_ < 0) fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd_ < 0) return std::string();
  std::string piece(kPiece, '\0');
  const ssize_t n = ::pread(fd_, piece.data(), piece.size(), offset_);
  if (n < 0) return fail_errno(errno, "reading {}", path_.string());
  if (n == 0) {
    reopen_if_replaced();
    return std::string();
  }
  offset_ += n;
  piece.resize(static_cast<std::size_t>(n));
  return piece;
}

// The file is replaced when it grew too large; then reading goes on at the start of the new one.
void LogTrail::reopen_if_replaced() {
  struct stat open_file{};
  struct stat named_file{};
  if (::fstat(fd_, &open_file) != 0 || ::stat(path_.c_str(), &named_file) != 0) return;
  if (open_file.st_ino == named_file.st_ino) return;
  ::close(fd_);
  fd_ = -1;
  offset_ = 0;
}

}  // namespace berth::worker
