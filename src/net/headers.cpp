#include "net/headers.h"

#include <algorithm>
#include <array>

namespace berth::net {
namespace {

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// Calls `visit` with each element of a comma-separated list.
template <class Visit>
void for_each_token(std::string_view list, Visit visit) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    if (const auto token = trimmed(list.substr(0, comma)); !token.empty()) visit(token);
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
}

}  // namespace

bool equal_ignoring_case(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](char x, char y) { return lower(x) == lower(y); });
}

std::optional<std::string_view> Headers::get(std::string_view name) const {
  for (const auto& [key, value] : fields_) {
    if (equal_ignoring_case(key, name)) return value;
  }
  return std::nullopt;
}

std::vector<std::string_view> Headers::get_all(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const auto& [key, value] : fields_) {
    if (equal_ignoring_case(key, name)) values.emplace_back(value);
  }
  return values;
}

bool Headers::has_token(std::string_view name, std::string_view token) const {
  bool found = false;
  for (const auto value : get_all(name)) {
    for_each_token(value,
                   [&](std::string_view one) { found = found || equal_ignoring_case(one, token); });
  }
  return found;
}

void Headers::set(std::string_view name, std::string_view value) {
  // Copies first: `value` may be a view of a field that is about to go.
  Field field{std::string(name), std::string(value)};
  const auto first = std::ranges::find_if(
      fields_, [&](const Field& f) { return equal_ignoring_case(f.first, field.first); });
  if (first == fields_.end()) {
    fields_.push_back(std::move(field));
    return;
  }
  const auto rest = std::remove_if(first + 1, fields_.end(), [&](const Field& f) {
    return equal_ignoring_case(f.first, field.first);
  });
  fields_.erase(rest, fields_.end());
  *first = std::move(field);
}

void Headers::add(std::string_view name, std::string_view value) {
  fields_.emplace_back(name, value);
}

std::size_t Headers::erase(std::string_view name) {
  return std::erase_if(fields_, [&](const Field& f) { return equal_ignoring_case(f.first, name); });
}

void Headers::erase_hop_by_hop() {
  std::vector<std::string> named;
  for (const auto value : get_all("connection")) {
    for_each_token(value, [&](std::string_view one) { named.emplace_back(one); });
  }
  for (const auto& name : named) erase(name);
  static constexpr std::array kHopByHop = {"connection",
                                           "keep-alive",
                                           "proxy-connection",
                                           "proxy-authenticate",
                                           "proxy-authorization",
                                           "te",
                                           "trailer",
                                           "transfer-encoding",
                                           "upgrade"};
  for (const char* name : kHopByHop) erase(name);
}

}  // namespace berth::net
