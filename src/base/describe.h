// One description of a struct, many uses: JSON both ways, tables, and JSON schema (schema.h).
//
//   struct Probe { std::string path; std::uint16_t port = 0; };
//   BOOST_DESCRIBE_STRUCT(Probe, (), (path, port))
//   inline constexpr FieldInfo kProbeFields[] = {{.name = "port", .text = "…", .minimum = 1}};
//   constexpr std::span<const FieldInfo> field_table(const Probe*) { return kProbeFields; }
//
// The table is optional, and so is each row. Absent optional or defaulted members keep their
// default; errors carry the JSON path. Pure; thread-safe.
#pragma once

#include "base/bytes.h"
#include "base/json.h"
#include "base/result.h"

#include <chrono>
#include <concepts>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include <boost/describe.hpp>
#include <boost/mp11.hpp>

namespace berth {

// What is known of one member beyond its name and type.
struct FieldInfo {
  std::string_view name;
  std::string_view text;               // one sentence for help, schema and forms
  std::string_view unit;               // "tokens", "bytes", "seconds"
  std::optional<double> minimum = {};  // checked by from_json
  std::optional<double> maximum = {};
  bool required = false;  // from_json fails where it is absent
  bool secret = false;    // left out by to_json unless asked for
  std::string_view since = "0.1";
};

// What from_json does with a member that the struct does not have.
enum class UnknownMembers {
  refuse,  // input of users: fails and names it
  ignore,  // the store and peers of another version
};
enum class Secrets { hide, show };

namespace describe_detail {

template <class T>
concept Described = boost::describe::has_describe_members<T>::value && !std::is_enum_v<T>;
template <class T>
concept DescribedEnum = boost::describe::has_describe_enumerators<T>::value;
template <class T>
concept HasTable = requires(const T* t) {
  { field_table(t) } -> std::convertible_to<std::span<const FieldInfo>>;
};
template <class T>
inline constexpr bool kIsOptional = false;
template <class T>
inline constexpr bool kIsOptional<std::optional<T>> = true;
template <class T>
inline constexpr bool kIsVector = false;
template <class T>
inline constexpr bool kIsVector<std::vector<T>> = true;
template <class T>
inline constexpr bool kIsMap = false;
template <class T>
inline constexpr bool kIsMap<std::map<std::string, T>> = true;

template <class T>
using Members = boost::describe::describe_members<T, boost::describe::mod_public>;

template <class T>
const FieldInfo* find_field(std::string_view name) {
  if constexpr (HasTable<T>) {
    for (const FieldInfo& info : field_table(static_cast<const T*>(nullptr))) {
      if (info.name == name) return &info;
    }
  }
  return nullptr;
}

std::string join_path(std::string_view path, std::string_view member);
std::string join_index(std::string_view path, std::size_t index);
Error type_error(std::string_view path, std::string_view expected, const json::value& got);
Error unknown_member_error(std::string_view path, std::string_view known);
Error enum_error(std::string_view path, std::string_view choices, std::string_view got);
Result<void> check_range(std::string_view path, const FieldInfo& info, double value);

}  // namespace describe_detail

// The enumerator's name, such as "ready".
template <describe_detail::DescribedEnum E>
std::string_view enum_name(E value) {
  std::string_view name = "?";
  boost::mp11::mp_for_each<boost::describe::describe_enumerators<E>>([&](auto d) {
    if (d.value == value) name = d.name;
  });
  return name;
}

// "a, b, c": every enumerator, in order.
template <describe_detail::DescribedEnum E>
std::string enum_choices() {
  std::string choices;
  boost::mp11::mp_for_each<boost::describe::describe_enumerators<E>>([&](auto d) {
    if (!choices.empty()) choices += ", ";
    choices += d.name;
  });
  return choices;
}

template <describe_detail::DescribedEnum E>
std::optional<E> parse_enum(std::string_view text) {
  std::optional<E> found;
  boost::mp11::mp_for_each<boost::describe::describe_enumerators<E>>([&](auto d) {
    if (text == d.name) found = d.value;
  });
  return found;
}

// ---- to JSON
// -------------------------------------------------------------------------------------

// Empty optionals are left out; everything else is written, defaults included.
template <class T>
json::value to_json(const T& value, Secrets secrets = Secrets::hide) {
  using namespace describe_detail;
  if constexpr (std::same_as<T, json::value> || std::same_as<T, json::object>) {
    return value;
  } else if constexpr (std::same_as<T, Bytes>) {
    return value.count;
  } else if constexpr (std::same_as<T, std::chrono::milliseconds>) {
    return value.count();
  } else if constexpr (std::same_as<T, std::string>) {
    return json::string(value);
  } else if constexpr (DescribedEnum<T>) {
    return json::string(enum_name(value));
  } else if constexpr (std::is_arithmetic_v<T>) {
    return value;
  } else if constexpr (kIsOptional<T>) {
    return value ? to_json(*value, secrets) : json::value(nullptr);
  } else if constexpr (kIsVector<T>) {
    json::array array;
    array.reserve(value.size());
    for (const auto& element : value) array.push_back(to_json(element, secrets));
    return array;
  } else if constexpr (kIsMap<T>) {
    json::object object;
    for (const auto& [key, element] : value) object[key] = to_json(element, secrets);
    return object;
  } else {
    static_assert(Described<T>, "describe this type with BOOST_DESCRIBE_STRUCT");
    json::object object;
    boost::mp11::mp_for_each<Members<T>>([&](auto d) {
      const auto& member = value.*d.pointer;
      if constexpr (kIsOptional<std::remove_cvref_t<decltype(member)>>) {
        if (!member) return;
      }
      const FieldInfo* info = find_field<T>(d.name);
      if (info != nullptr && info->secret && secrets == Secrets::hide) return;
      object[d.name] = to_json(member, secrets);
    });
    return object;
  }
}

// Writes `value` over `document`, keeping members of the document that the struct does not know
// (written by a newer version).
template <describe_detail::Described T>
void merge_json(json::object& document, const T& value) {
  using namespace describe_detail;
  boost::mp11::mp_for_each<Members<T>>([&](auto d) {
    const auto& member = value.*d.pointer;
    using M = std::remove_cvref_t<decltype(member)>;
    if constexpr (kIsOptional<M>) {
      if (!member) {
        document.erase(d.name);
        return;
      }
      if constexpr (Described<typename M::value_type>) {
        if (json::value& slot = document[d.name]; slot.is_object()) {
          merge_json(slot.get_object(), *member);
          return;
        }
      }
    }
    if constexpr (Described<M>) {
      if (json::value& slot = document[d.name]; slot.is_object()) {
        merge_json(slot.get_object(), member);
        return;
      }
    }
    document[d.name] = to_json(member, Secrets::show);
  });
}

// ---- from JSON
// -----------------------------------------------------------------------------------

namespace describe_detail {

template <class T>
Result<void> read(T& out, const json::value& in, std::string_view path, UnknownMembers unknown,
                  const FieldInfo* info);

template <class T>
Result<void> read_number(T& out, const json::value& in, std::string_view path,
                         const FieldInfo* info) {
  if constexpr (std::is_floating_point_v<T>) {
    if (!in.is_number()) return fail(type_error(path, "a number", in));
    out = in.to_number<T>();
  } else {
    json::error_code error;
    const T number = in.to_number<T>(error);
    if (error) {
      return fail(
          type_error(path,
                     fmt::format("a whole number from {} to {}", std::numeric_limits<T>::min(),
                                 std::numeric_limits<T>::max()),
                     in));
    }
    out = number;
  }
  if (info != nullptr) return check_range(path, *info, static_cast<double>(out));
  return {};
}

template <class T>
Result<void> read_members(T& out, const json::value& in, std::string_view path,
                          UnknownMembers unknown) {
  const json::object* object = in.if_object();
  if (object == nullptr) return fail(type_error(path, "an object", in));
  Result<void> result;
  std::size_t used = 0;
  std::string known;
  boost::mp11::mp_for_each<Members<T>>([&](auto d) {
    if (!known.empty()) known += ", ";
    known += d.name;
    if (!result) return;
    const FieldInfo* info = find_field<T>(d.name);
    const json::value* member = object->if_contains(d.name);
    if (member == nullptr || member->is_null()) {
      used += member != nullptr ? 1 : 0;
      if (info != nullptr && info->required) {
        const auto where = join_path(path, d.name);
        result =
            fail(make_error(ErrorCode::invalid_parameter, "{} is missing: {}", where, info->text)
                     .with_field(where));
      }
      return;
    }
    ++used;
    result = read(out.*d.pointer, *member, join_path(path, d.name), unknown, info);
  });
  if (!result || unknown == UnknownMembers::ignore || used == object->size()) return result;
  for (const auto& member : *object) {
    bool found = false;
    boost::mp11::mp_for_each<Members<T>>([&](auto d) { found = found || member.key() == d.name; });
    if (!found) {
      return fail(
          unknown_member_error(join_path(path, {member.key().data(), member.key().size()}), known));
    }
  }
  return result;
}

template <class T>
Result<void> read(T& out, const json::value& in, std::string_view path, UnknownMembers unknown,
                  const FieldInfo* info) {
  if constexpr (std::same_as<T, json::value>) {
    out = in;
    return {};
  } else if constexpr (std::same_as<T, json::object>) {
    if (!in.is_object()) return fail(type_error(path, "an object", in));
    out = in.get_object();
    return {};
  } else if constexpr (std::same_as<T, bool>) {
    if (!in.is_bool()) return fail(type_error(path, "true or false", in));
    out = in.get_bool();
    return {};
  } else if constexpr (std::same_as<T, Bytes>) {
    if (in.is_string()) {
      auto parsed = parse_bytes({in.get_string().data(), in.get_string().size()});
      if (!parsed) return fail(std::move(parsed).error().with_field(std::string(path)));
      out = *parsed;
      return {};
    }
    return read_number(out.count, in, path, info);
  } else if constexpr (std::same_as<T, std::chrono::milliseconds>) {
    std::int64_t count = 0;
    BERTH_CHECK(read_number(count, in, path, info));
    out = std::chrono::milliseconds(count);
    return {};
  } else if constexpr (std::same_as<T, std::string>) {
    if (!in.is_string()) return fail(type_error(path, "a text", in));
    out.assign(in.get_string().data(), in.get_string().size());
    return {};
  } else if constexpr (DescribedEnum<T>) {
    if (!in.is_string()) return fail(type_error(path, "one of " + enum_choices<T>(), in));
    const std::string_view text(in.get_string().data(), in.get_string().size());
    const auto value = parse_enum<T>(text);
    if (!value) return fail(enum_error(path, enum_choices<T>(), text));
    out = *value;
    return {};
  } else if constexpr (std::is_arithmetic_v<T>) {
    return read_number(out, in, path, info);
  } else if constexpr (kIsOptional<T>) {
    typename T::value_type inner{};
    BERTH_CHECK(read(inner, in, path, unknown, info));
    out = std::move(inner);
    return {};
  } else if constexpr (kIsVector<T>) {
    if (!in.is_array()) return fail(type_error(path, "an array", in));
    out.clear();
    for (const auto& element : in.get_array()) {
      typename T::value_type inner{};
      BERTH_CHECK(read(inner, element, join_index(path, out.size()), unknown, info));
      out.push_back(std::move(inner));
    }
    return {};
  } else if constexpr (kIsMap<T>) {
    if (!in.is_object()) return fail(type_error(path, "an object", in));
    out.clear();
    for (const auto& member : in.get_object()) {
      const std::string key(member.key().data(), member.key().size());
      BERTH_CHECK(read(out[key], member.value(), join_path(path, key), unknown, info));
    }
    return {};
  } else {
    static_assert(Described<T>, "describe this type with BOOST_DESCRIBE_STRUCT");
    return read_members(out, in, path, unknown);
  }
}

}  // namespace describe_detail

// Reads a described value. Fails with invalid_parameter; `field` is the JSON path ("claim.vram").
template <class T>
Result<T> from_json(const json::value& in, UnknownMembers unknown) {
  T out{};
  BERTH_CHECK(describe_detail::read(out, in, "", unknown, nullptr));
  return out;
}

}  // namespace berth
