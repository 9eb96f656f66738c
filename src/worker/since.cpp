#include "worker/since.h"

#include <charconv>
#include <cstdint>

namespace berth::worker {
namespace {

// Takes what it reads off the front of a text.
class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  std::optional<std::uint32_t> digits(std::size_t count) {
    if (rest_.size() < count) return std::nullopt;
    std::uint32_t number = 0;
    const auto* end = rest_.data() + count;
    const auto [stop, error] = std::from_chars(rest_.data(), end, number);
    if (error != std::errc{} || stop != end) return std::nullopt;
    rest_.remove_prefix(count);
    return number;
  }
  bool skip(char c) {
    if (rest_.empty() || rest_.front() != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  // Milliseconds of a fraction of a second, of any length.
  std::optional<std::uint32_t> fraction() {
    std::uint32_t value = 0;
    std::size_t count = 0;
    for (; count < rest_.size() && rest_[count] >= '0' && rest_[count] <= '9'; ++count) {
      if (count < 3) value = value * 10 + static_cast<std::uint32_t>(rest_[count] - '0');
    }
    if (count == 0) return std::nullopt;
    for (std::size_t i = count; i < 3; ++i) value *= 10;
    rest_.remove_prefix(count);
    return value;
  }
  [[nodiscard]] std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

std::optional<std::chrono::minutes> read_offset(Reader& reader) {
  if (reader.skip('Z') || reader.skip('z')) return std::chrono::minutes(0);
  const bool west = reader.skip('-');
  if (!west && !reader.skip('+')) return std::nullopt;
  const auto hours = reader.digits(2);
  if (!hours || *hours > 23 || !reader.skip(':')) return std::nullopt;
  const auto minutes = reader.digits(2);
  if (!minutes || *minutes > 59) return std::nullopt;
  const auto offset = std::chrono::hours(*hours) + std::chrono::minutes(*minutes);
  return west ? -offset : offset;
}

std::optional<SystemTime> read_time(Reader& reader) {
  const auto year = reader.digits(4);
  if (!year || !reader.skip('-')) return std::nullopt;
  const auto month = reader.digits(2);
  if (!month || !reader.skip('-')) return std::nullopt;
  const auto day = reader.digits(2);
  if (!day) return std::nullopt;
  const std::chrono::year_month_day date(std::chrono::year(static_cast<int>(*year)),
                                         std::chrono::month(*month), std::chrono::day(*day));
  if (!date.ok() || (!reader.skip('T') && !reader.skip('t'))) return std::nullopt;
  const auto hours = reader.digits(2);
  if (!hours || *hours > 23 || !reader.skip(':')) return std::nullopt;
  const auto minutes = reader.digits(2);
  if (!minutes || *minutes > 59 || !reader.skip(':')) return std::nullopt;
  const auto seconds = reader.digits(2);
  if (!seconds || *seconds > 60) return std::nullopt;
  std::chrono::milliseconds fraction(0);
  if (reader.skip('.')) {
    const auto read = reader.fraction();
    if (!read) return std::nullopt;
    fraction = std::chrono::milliseconds(*read);
  }
  const auto offset = read_offset(reader);
  if (!offset) return std::nullopt;
  return SystemTime(std::chrono::sys_days(date)) + std::chrono::hours(*hours) +
         std::chrono::minutes(*minutes) + std::chrono::seconds(*seconds) + fraction - *offset;
}

std::optional<std::chrono::seconds> unit_of(char c) {
  switch (c) {
    case 's':
      return std::chrono::seconds(1);
    case 'm':
      return std::chrono::minutes(1);
    case 'h':
      return std::chrono::hours(1);
    case 'd':
      return std::chrono::days(1);
    default:
      return std::nullopt;
  }
}

std::optional<std::chrono::seconds> read_duration(std::string_view text) {
  constexpr std::int64_t kMost = 1'000'000;  // of each unit
  if (text.empty()) return std::nullopt;
  std::chrono::seconds sum(0);
  while (!text.empty()) {
    std::int64_t number = 0;
    const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (error != std::errc{} || number < 0 || number > kMost) return std::nullopt;
    text.remove_prefix(static_cast<std::size_t>(stop - text.data()));
    const auto unit = text.empty() ? std::nullopt : unit_of(text.front());
    if (!unit) return std::nullopt;
    text.remove_prefix(1);
    sum += number * *unit;
  }
  return sum;
}

}  // namespace

Result<SystemTime> parse_since(std::string_view text, SystemTime now) {
  if (const auto duration = read_duration(text)) return now - *duration;
  Reader reader(text);
  const auto time = read_time(reader);
  if (time && reader.rest().empty()) return *time;
  return fail(make_error(ErrorCode::invalid_parameter,
                         "since must be how long ago, such as 10m or 1h30m, or a time such as "
                         "2026-11-22T10:15:30Z (got \"{}\")",
                         text)
                  .with_field("since"));
}

std::optional<SystemTime> leading_time(std::string_view text) {
  Reader reader(text);
  return read_time(reader);
}

}  // namespace berth::worker
