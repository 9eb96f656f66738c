#include "terminal.h"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <sys/ioctl.h>

#include <fmt/format.h>
#include <unistd.h>

namespace berth::app {
namespace {

constexpr std::size_t kUsualWidth = 80;
constexpr std::string_view kGap = "  ";

// Code points, which is the width of what we print.
std::size_t width_of(std::string_view text) {
  return static_cast<std::size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0) != 0x80;
  }));
}

// The first `width` code points.
std::string cut(std::string_view text, std::size_t width) {
  std::size_t end = 0;
  for (std::size_t seen = 0; end < text.size(); ++end) {
    if ((static_cast<unsigned char>(text[end]) & 0xC0) != 0x80 && seen++ == width) break;
  }
  return std::string(text.substr(0, end));
}

std::size_t terminal_width(int descriptor) {
  winsize size{};
  if (::ioctl(descriptor, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return kUsualWidth;
  return size.ws_col;
}

bool is_control(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return byte < 0x20 || byte == 0x7F;
}

std::string_view code_of(Style style) {
  switch (style) {
    case Style::good:
      return "\033[32m";
    case Style::busy:
      return "\033[33m";
    case Style::bad:
      return "\033[31m";
    case Style::faint:
      return "\033[2m";
    case Style::plain:
      break;
  }
  return "";
}

}  // namespace

bool is_terminal(int descriptor) { return ::isatty(descriptor) == 1; }

bool has_colour(int descriptor) {
  const char* no_colour = std::getenv("NO_COLOR");
  if (no_colour != nullptr && *no_colour != '\0') return false;
  const char* kind = std::getenv("TERM");
  if (kind == nullptr || std::string_view(kind) == "dumb") return false;
  return is_terminal(descriptor);
}

std::string printable(std::string_view text) {
  while (!text.empty() && text.back() == '\n') text.remove_suffix(1);
  std::string out;
  for (const char c : text) {
    if (c == '\n')
      out += "; ";
    else
      out += c == '\t' ? ' ' : is_control(c) ? '?' : c;
  }
  return out;
}

std::string printable_lines(std::string_view text) {
  std::string out;
  for (const char c : text) out += c != '\n' && c != '\t' && is_control(c) ? '?' : c;
  return out;
}

std::string styled(std::string_view text, Style style, bool colour) {
  if (!colour || style == Style::plain) return std::string(text);
  return fmt::format("{}{}\033[0m", code_of(style), text);
}

std::string format_table(const std::vector<std::string>& header,
                         const std::vector<std::vector<Cell>>& rows, bool colour) {
  std::vector<std::vector<Cell>> lines;
  lines.reserve(rows.size() + 1);
  lines.emplace_back();
  for (const auto& name : header) lines.back().emplace_back(name, Style::faint);
  for (const auto& row : rows) {
    auto& line = lines.emplace_back();
    for (const auto& cell : row) {
      line.emplace_back(cell.text.empty() ? "-" : printable(cell.text), cell.style);
    }
  }
  std::vector<std::size_t> widths(header.size(), 0);
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i) {
      widths[i] = std::max(widths[i], width_of(line[i].text));
    }
  }
  std::string out;
  for (const auto& line : lines) {
    for (std::size_t i = 0; i < line.size(); ++i) {
      out += styled(line[i].text, line[i].style, colour);
      if (i + 1 == line.size()) break;
      out.append(widths[i] - width_of(line[i].text), ' ');
      out += kGap;
    }
    out += '\n';
  }
  return out;
}

std::string age_of(std::string_view rfc3339, SystemTime now) {
  const auto then = parse_rfc3339(std::string(rfc3339));
  if (!then) return "-";
  const auto seconds = std::max<std::int64_t>(
      0, std::chrono::duration_cast<std::chrono::seconds>(now - *then).count());
  constexpr std::int64_t kMinute = 60;
  constexpr std::int64_t kHour = 60 * kMinute;
  constexpr std::int64_t kDay = 24 * kHour;
  if (seconds < 2 * kMinute) return fmt::format("{}s", seconds);
  if (seconds < 2 * kHour) return fmt::format("{}m", seconds / kMinute);
  if (seconds < 2 * kDay) return fmt::format("{}h", seconds / kHour);
  return fmt::format("{}d", seconds / kDay);
}

std::string counted(std::uint64_t count, std::string_view noun) {
  return fmt::format("{} {}{}", count, noun, count == 1 ? "" : "s");
}

void print_json(const json::value& value) {
  terminal_detail::print_text(to_pretty_text(value) + "\n");
}

Progress::Progress() : terminal_(is_terminal(STDERR_FILENO)) {}

void Progress::show(std::string_view text, std::string_view detail) {
  std::string line = printable(text);
  if (!terminal_) {
    if (line != last_) fmt::print(stderr, "{}\n", line);
    last_ = std::move(line);
    return;
  }
  if (!detail.empty()) line += fmt::format(" {}", printable(detail));
  fmt::print(stderr, "\r\033[K{}", cut(line, terminal_width(STDERR_FILENO) - 1));
  std::fflush(stderr);
  drawn_ = true;
}

void Progress::clear() {
  if (drawn_) fmt::print(stderr, "\r\033[K");
  std::fflush(stderr);
  drawn_ = false;
}

namespace terminal_detail {

std::string header_of(std::string_view member) {
  std::string header;
  for (const char c : member) {
    header += c == '_' ? ' ' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  }
  return header;
}

void print_text(const std::string& text) { std::fwrite(text.data(), 1, text.size(), stdout); }

}  // namespace terminal_detail

}  // namespace berth::app
