#include "base/describe.h"

namespace berth::describe_detail {

std::string join_path(std::string_view path, std::string_view member) {
  // Called for every member that is read, mostly in vain: no formatter.
  std::string joined;
  joined.reserve(path.size() + 1 + member.size());
  joined += path;
  if (!path.empty()) joined += '.';
  joined += member;
  return joined;
}

std::string join_index(std::string_view path, std::size_t index) {
  std::string joined(path);
  joined += '[';
  joined += std::to_string(index);
  joined += ']';
  return joined;
}

Error type_error(std::string_view path, std::string_view expected, const json::value& got) {
  std::string text = to_text(got);
  if (text.size() > 40) text = text.substr(0, 37) + "...";
  const bool is_bare = expected == "a text" && (got.is_number() || got.is_bool());
  return make_error(ErrorCode::invalid_parameter, "{} must be {} (got {}{})",
                    path.empty() ? "the document" : path, expected, text,
                    is_bare ? ", which is a text in quotes" : "")
      .with_field(std::string(path));
}

Error unknown_member_error(std::string_view path, std::string_view known) {
  return make_error(ErrorCode::invalid_parameter, "there is no field {}; known here: {}", path,
                    known)
      .with_field(std::string(path));
}

Error enum_error(std::string_view path, std::string_view choices, std::string_view got) {
  return make_error(ErrorCode::invalid_parameter, "{} must be one of {} (got \"{}\")", path,
                    choices, got)
      .with_field(std::string(path));
}

Result<void> check_range(std::string_view path, const FieldInfo& info, double value) {
  if (info.minimum && value < *info.minimum) {
    return fail(make_error(ErrorCode::invalid_parameter, "{} must be at least {} (got {})", path,
                           *info.minimum, value)
                    .with_field(std::string(path)));
  }
  if (info.maximum && value > *info.maximum) {
    return fail(make_error(ErrorCode::invalid_parameter, "{} must be at most {} (got {})", path,
                           *info.maximum, value)
                    .with_field(std::string(path)));
  }
  return {};
}

}  // namespace berth::describe_detail
