#include "process/shim_spec.h"

#include <charconv>
#include <optional>

namespace berth::process {
namespace {

void put(std::string& out, std::string_view key, std::string_view value) {
  out += key;
  out += ' ';
  out += std::to_string(value.size());
  out += '\n';
  out += value;
  out += '\n';
}

template <class Number>
bool read_number(std::string_view text, Number& number) {
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, number);
  return error == std::errc() && stop == end;
}

// One record; `value` points into the text.
struct Record {
  std::string_view key;
  std::string_view value;
};

// Takes the next record off `text`; nothing if it is malformed.
std::optional<Record> take(std::string_view& text) {
  const std::size_t line_end = text.find('\n');
  const std::size_t space = text.find(' ');
  if (line_end == std::string_view::npos || space == std::string_view::npos || space > line_end) {
    return std::nullopt;
  }
  std::size_t length = 0;
  if (!read_number(text.substr(space + 1, line_end - space - 1), length)) return std::nullopt;
  const std::string_view rest = text.substr(line_end + 1);
  if (length >= rest.size() || rest[length] != '\n') return std::nullopt;
  const Record record{text.substr(0, space), rest.substr(0, length)};
  text = rest.substr(length + 1);
  return record;
}

// Stores one record; false if its key is unknown or its value malformed.
bool store(const Record& record, ShimSpec& spec) {
  const auto [key, value] = record;
  if (key == "cluster") return spec.cluster = value, true;
  if (key == "instance") return spec.instance = value, true;
  if (key == "generation") return read_number(value, spec.generation);
  if (key == "attempt") return read_number(value, spec.attempt);
  if (key == "arg") return spec.argv.emplace_back(value), true;
  if (key == "env") {
    const std::size_t equals = value.find('=');
    if (equals == std::string_view::npos || equals == 0) return false;
    spec.environment.emplace_back(value.substr(0, equals), value.substr(equals + 1));
    return true;
  }
  if (key == "cwd") return spec.working_directory = value, true;
  if (key == "group") return spec.control_group = value, true;
  if (key == "state") return spec.state_path = value, true;
  if (key == "log") return spec.log_path = value, true;
  if (key == "log_limit") return read_number(value, spec.log_limit);
  if (key == "stop_signal") return read_number(value, spec.stop_signal);
  if (key == "stop_grace") return read_number(value, spec.stop_grace_milliseconds);
  return false;
}

}  // namespace

std::string serialise(const ShimSpec& spec) {
  std::string out;
  put(out, "cluster", spec.cluster);
  put(out, "instance", spec.instance);
  put(out, "generation", std::to_string(spec.generation));
  put(out, "attempt", std::to_string(spec.attempt));
  for (const std::string& argument : spec.argv) put(out, "arg", argument);
  for (const auto& [name, value] : spec.environment) put(out, "env", name + "=" + value);
  put(out, "cwd", spec.working_directory);
  put(out, "group", spec.control_group);
  put(out, "state", spec.state_path);
  put(out, "log", spec.log_path);
  put(out, "log_limit", std::to_string(spec.log_limit));
  put(out, "stop_signal", std::to_string(spec.stop_signal));
  put(out, "stop_grace", std::to_string(spec.stop_grace_milliseconds));
  put(out, "end", "");
  return out;
}

std::string parse(std::string_view text, ShimSpec& spec) {
  spec = {};
  const std::size_t total = text.size();
  for (;;) {
    if (text.empty()) return "cut off: no end record";
    const std::size_t offset = total - text.size();
    const auto record = take(text);
    if (!record) return "malformed record at byte " + std::to_string(offset);
    if (record->value.find('\0') != std::string_view::npos) {
      return "NUL byte in " + std::string(record->key);
    }
    if (record->key == "end") break;
    if (!store(*record, spec)) return "unknown or malformed field " + std::string(record->key);
  }
  if (!text.empty()) return "text after the end record";
  if (spec.argv.empty() || spec.argv.front().empty()) return "no program to run";
  if (spec.state_path.empty()) return "no state path";
  if (spec.log_path.empty()) return "no log path";
  if (spec.stop_signal < 1 || spec.stop_signal > 64) return "no such stop signal";
  return {};
}

}  // namespace berth::process
