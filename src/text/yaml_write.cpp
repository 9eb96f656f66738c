#include "text/yaml.h"

#include <algorithm>
#include <array>
#include <cctype>

namespace berth::text {
namespace {

bool is_one_of_the_special_words(std::string_view text) {
  // What YAML 1.1 or 1.2 take for true, false, nothing or a number, in any case of letters.
  static constexpr std::array<std::string_view, 12> kWords = {
      "true", "false", "yes", "no", "on", "off", "y", "n", "null", ".nan", ".inf", "-.inf"};
  std::string lower(text);
  std::transform(lower.begin(), lower.end(), lower.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return std::find(kWords.begin(), kWords.end(), lower) != kWords.end();
}

bool is_letter(char c) { return std::isalpha(static_cast<unsigned char>(c)) != 0; }
bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Whether every reader takes `text` for itself where it stands without quotes: fewer texts than
// YAML allows.
bool can_be_plain(std::string_view text) {
  if (text.empty() || is_one_of_the_special_words(text)) return false;
  constexpr std::string_view kInside = "._-/+@=%,:";
  for (const char c : text) {
    if (!is_letter(c) && !is_digit(c) && kInside.find(c) == std::string_view::npos) return false;
  }
  if (text.back() == ':') return false;
  if (is_letter(text.front()) || text.front() == '/') return true;
  // Flags: "--ctx-size", "-c"; not "-1", "---".
  const auto letter = text.find_first_not_of('-');
  return letter != 0 && letter <= 2 && letter != std::string_view::npos && is_letter(text[letter]);
}

// The length of the UTF-8 sequence at `text[at]`, and whether it is a control or a line break of
// Unicode, which readers treat differently.
struct Rune {
  std::size_t length = 1;
  bool risky = false;
};

Rune rune_at(std::string_view text, std::size_t at) {
  const auto byte = [&](std::size_t i) {
    return at + i < text.size() ? static_cast<unsigned char>(text[at + i]) : 0U;
  };
  const unsigned first = byte(0);
  if (first < 0x80) return {.length = 1, .risky = first < 0x20 || first == 0x7F};
  if (first < 0xE0) {
    const unsigned code = (first & 0x1FU) << 6U | (byte(1) & 0x3FU);
    return {.length = 2, .risky = code < 0xA0};
  }
  if (first < 0xF0) {
    const unsigned code = (first & 0x0FU) << 12U | (byte(1) & 0x3FU) << 6U | (byte(2) & 0x3FU);
    const bool separator = code == 0x2028 || code == 0x2029;
    const bool not_text = code == 0xFEFF || code >= 0xFFFE;
    return {.length = 3, .risky = separator || not_text};
  }
  return {.length = 4, .risky = false};
}

std::uint32_t code_of(std::string_view rune) {
  const auto bits = [&](std::size_t i) { return static_cast<unsigned char>(rune[i]) & 0x3FU; };
  const auto first = static_cast<unsigned char>(rune[0]);
  if (rune.size() == 2) return (first & 0x1FU) << 6U | bits(1);
  if (rune.size() == 3) return (first & 0x0FU) << 12U | bits(1) << 6U | bits(2);
  return first;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (std::size_t at = 0; at < text.size();) {
    const Rune rune = rune_at(text, at);
    const std::string_view piece = text.substr(at, rune.length);
    at += rune.length;
    if (piece == "\"" || piece == "\\")
      out.append("\\").append(piece);
    else if (piece == "\n")
      out += "\\n";
    else if (piece == "\t")
      out += "\\t";
    else if (rune.risky)
      out += fmt::format("\\u{:04x}", code_of(piece));
    else
      out += piece;
  }
  return out + '"';
}

// Whether a literal block keeps `text` exactly: lines without risky characters, without spaces at
// their ends, the first one without any in front, and at most one line end after the last.
bool can_be_block(std::string_view text) {
  if (text.find('\n') == std::string_view::npos || text.front() == ' ' || text.front() == '\n') {
    return false;
  }
  if (text.ends_with("\n\n")) return false;
  for (std::size_t at = 0; at < text.size();) {
    const Rune rune = rune_at(text, at);
    if (rune.risky && text[at] != '\n') return false;
    const bool ends_line = at + 1 == text.size() || text[at + 1] == '\n';
    if (text[at] == ' ' && ends_line) return false;
    at += rune.length;
  }
  return true;
}

std::string block(std::string_view text, const std::string& indent) {
  std::string out = text.ends_with('\n') ? "|" : "|-";
  if (text.ends_with('\n')) text.remove_suffix(1);
  for (;;) {
    const auto end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    out += '\n';
    if (!line.empty()) out.append(indent).append(line);
    if (end == std::string_view::npos) return out;
    text.remove_prefix(end + 1);
  }
}

std::string scalar(const json::value& value, const std::string& indent) {
  const auto* text = value.if_string();
  if (text == nullptr) return to_text(value);  // null, numbers, {} and [] as in JSON
  const std::string_view view(text->data(), text->size());
  if (can_be_plain(view)) return std::string(view);
  return can_be_block(view) ? block(view, indent) : quoted(view);
}

bool is_nested(const json::value& value) {
  const auto* object = value.if_object();
  const auto* array = value.if_array();
  return (object != nullptr && !object->empty()) || (array != nullptr && !array->empty());
}

void write(std::string& out, const json::value& value, const std::string& indent);

// What stands behind "key:" or "-": on the same line where it has no parts.
void write_inner(std::string& out, const json::value& value, const std::string& indent) {
  const std::string inner = indent + "  ";
  if (is_nested(value)) {
    out += '\n';
    write(out, value, inner);
  } else {
    out += ' ' + scalar(value, inner) + '\n';
  }
}

void write(std::string& out, const json::value& value, const std::string& indent) {
  if (const auto* object = value.if_object(); object != nullptr && !object->empty()) {
    for (const auto& member : *object) {
      const std::string_view key(member.key().data(), member.key().size());
      out += indent + (can_be_plain(key) ? std::string(key) : quoted(key)) + ':';
      write_inner(out, member.value(), indent);
    }
  } else if (const auto* array = value.if_array(); array != nullptr && !array->empty()) {
    for (const auto& element : *array) {
      out += indent + '-';
      write_inner(out, element, indent);
    }
  } else {
    out += indent + scalar(value, indent + "  ") + '\n';
  }
}

}  // namespace

std::string to_yaml(const json::value& value) {
  std::string out;
  write(out, value, "");
  return out;
}

}  // namespace berth::text
