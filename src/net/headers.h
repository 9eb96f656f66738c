// Headers: the fields of an HTTP message, in order; names compare without regard to case.
#pragma once

#include <cstddef>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace berth::net {

// True where `a` and `b` are equal but for ASCII case.
[[nodiscard]] bool equal_ignoring_case(std::string_view a, std::string_view b);

// A value; copy freely. Carriage returns, line feeds and NULs in a value become spaces when it is
// written to the wire; a name must be a token (letters, digits, "-_" …).
class Headers {
 public:
  using Field = std::pair<std::string, std::string>;

  Headers() = default;
  Headers(std::initializer_list<Field> fields) : fields_(fields) {}

  // The first field of that name. The view lives until the headers change.
  [[nodiscard]] std::optional<std::string_view> get(std::string_view name) const;
  [[nodiscard]] std::vector<std::string_view> get_all(std::string_view name) const;
  [[nodiscard]] bool contains(std::string_view name) const { return get(name).has_value(); }
  // True where the comma-separated list `name` has `token` (case-insensitive): "Connection: close".
  [[nodiscard]] bool has_token(std::string_view name, std::string_view token) const;

  // Replaces every field of that name by this one.
  void set(std::string_view name, std::string_view value);
  void add(std::string_view name, std::string_view value);
  // Makes room for so many fields.
  void reserve(std::size_t fields) { fields_.reserve(fields); }
  // Returns how many fields were erased.
  std::size_t erase(std::string_view name);
  // Erases what concerns one connection only (RFC 9110, 7.6.1), and what Connection names:
  // for a proxy, before it passes headers on.
  void erase_hop_by_hop();

  [[nodiscard]] std::size_t size() const { return fields_.size(); }
  [[nodiscard]] bool empty() const { return fields_.empty(); }
  [[nodiscard]] auto begin() const { return fields_.begin(); }
  [[nodiscard]] auto end() const { return fields_.end(); }

 private:
  std::vector<Field> fields_;
};

}  // namespace berth::net
