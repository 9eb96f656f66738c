// What people see: tables, colours, ages, sizes, and one line of progress.
#pragma once

#include "base/clock.h"
#include "base/describe.h"
#include "base/json.h"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace berth::app {

[[nodiscard]] bool is_terminal(int descriptor);
// Only on a terminal that is not "dumb", and without NO_COLOR.
[[nodiscard]] bool has_colour(int descriptor);

// The text on one line, without control characters: names and reasons come from elsewhere, and must
// not steer the terminal. Line ends become "; ".
std::string printable(std::string_view text);
// The same, but lines stay lines and tabs stay tabs.
std::string printable_lines(std::string_view text);

enum class Style { plain, good, busy, bad, faint };
std::string styled(std::string_view text, Style style, bool colour);

// One field of a table.
struct Cell {
  std::string text;
  Style style = Style::plain;

  Cell() = default;
  Cell(std::string t, Style s = Style::plain) : text(std::move(t)), style(s) {}
  Cell(const char* t) : text(t) {}
};

// Columns as wide as their widest cell, the last one open; two spaces between. Pure.
std::string format_table(const std::vector<std::string>& header,
                         const std::vector<std::vector<Cell>>& rows, bool colour);

// Prints rows of a described struct whose members are Cells; the members' names are the header.
template <class Row>
void print_table(const std::vector<Row>& rows);

// "5s", "3m", "2h", "4d" since an RFC 3339 time; "-" where it can not be read.
std::string age_of(std::string_view rfc3339, SystemTime now);
// "1 instance", "2 instances".
std::string counted(std::uint64_t count, std::string_view noun);

// Pretty, with a line end.
void print_json(const json::value& value);

// A line on standard error that is drawn again and again on a terminal; elsewhere a line for each
// change. Gone from the terminal after `clear` or destruction.
class Progress {
 public:
  Progress();
  ~Progress() { clear(); }
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // `detail` changes often (per cent, seconds) and is shown on terminals only.
  void show(std::string_view text, std::string_view detail = {});
  void clear();

 private:
  bool terminal_;
  bool drawn_ = false;
  std::string last_;
};

namespace terminal_detail {
std::string header_of(std::string_view member);
void print_text(const std::string& text);
}  // namespace terminal_detail

template <class Row>
void print_table(const std::vector<Row>& rows) {
  using Members = boost::describe::describe_members<Row, boost::describe::mod_public>;
  std::vector<std::string> header;
  boost::mp11::mp_for_each<Members>(
      [&](auto member) { header.push_back(terminal_detail::header_of(member.name)); });
  std::vector<std::vector<Cell>> cells;
  cells.reserve(rows.size());
  for (const auto& row : rows) {
    auto& line = cells.emplace_back();
    boost::mp11::mp_for_each<Members>([&](auto member) { line.push_back(row.*member.pointer); });
  }
  terminal_detail::print_text(format_table(header, cells, has_colour(1)));
}

}  // namespace berth::app
