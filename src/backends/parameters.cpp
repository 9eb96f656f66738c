#include "backends/backend.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>

namespace berth::backends {
namespace {

tl::unexpected<Error> invalid(std::string message) {
  return fail(Error{
      .code = ErrorCode::invalid_parameter, .message = std::move(message), .field = "parameters"});
}

// A parameter as found by one of its spellings.
struct Match {
  const Parameter* parameter = nullptr;
  bool negated = false;
};

Match find_parameter(const BackendDescriptor& descriptor, std::string_view written) {
  const auto among = [&](const std::vector<std::string_view>& names) {
    return std::find(names.begin(), names.end(), written) != names.end();
  };
  for (const auto& parameter : descriptor.parameters) {
    if (parameter.flag == written || among(parameter.aliases)) return {&parameter, false};
    if (among(parameter.negations)) return {&parameter, true};
  }
  return {};
}

std::optional<double> read_number(std::string_view text) {
  double value = 0;
  const auto* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end || !std::isfinite(value)) return std::nullopt;
  return value;
}

bool is_integer(std::string_view text) {
  std::int64_t value = 0;
  const auto* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  return error == std::errc{} && stop == end;
}

std::string limits(const Parameter& parameter) {
  if (parameter.minimum && parameter.maximum) {
    return fmt::format("between {} and {}", *parameter.minimum, *parameter.maximum);
  }
  if (parameter.minimum) return fmt::format("at least {}", *parameter.minimum);
  return fmt::format("at most {}", parameter.maximum.value_or(0));
}

Result<void> check_value(const Parameter& parameter, const std::string& value) {
  switch (parameter.type) {
    case ParameterType::flag:
      break;
    case ParameterType::integer:
    case ParameterType::number: {
      const bool whole = parameter.type == ParameterType::integer;
      const auto is_choice = std::find(parameter.choices.begin(), parameter.choices.end(), value) !=
                             parameter.choices.end();
      if (is_choice) break;
      const auto number = read_number(value);
      if (!number || (whole && !is_integer(value))) {
        return invalid(fmt::format(
            "{} must be a {}{} (got \"{}\")", parameter.flag, whole ? "whole number" : "number",
            parameter.choices.empty() ? ""
                                      : fmt::format(" or {}", fmt::join(parameter.choices, ", ")),
            value));
      }
      if ((parameter.minimum && *number < *parameter.minimum) ||
          (parameter.maximum && *number > *parameter.maximum)) {
        return invalid(
            fmt::format("{} must be {} (got {})", parameter.flag, limits(parameter), value));
      }
      break;
    }
    case ParameterType::choice:
      if (std::find(parameter.choices.begin(), parameter.choices.end(), value) ==
          parameter.choices.end()) {
        return invalid(fmt::format("{} must be one of {} (got \"{}\")", parameter.flag,
                                   fmt::join(parameter.choices, ", "), value));
      }
      break;
    case ParameterType::text:
    case ParameterType::path:
      if (value.empty()) return invalid(fmt::format("{} must not be empty", parameter.flag));
      break;
  }
  return {};
}

bool looks_like_flag(std::string_view text) {
  return text.size() > 1 && text[0] == '-' && !read_number(text);
}

struct Written {
  std::string flag;
  std::optional<std::string> value;
};

// "--flag=value" and "--flag value" in one element.
Written split(const std::string& element) {
  const auto cut = element.find_first_of("= \t");
  if (cut == std::string::npos) return {element, std::nullopt};
  auto start = cut + 1;
  if (element[cut] != '=') start = element.find_first_not_of(" \t", cut);
  if (start == std::string::npos) return {element.substr(0, cut), std::nullopt};
  return {element.substr(0, cut), element.substr(start)};
}

Result<void> check_exclusions(const BackendDescriptor& descriptor, const ParsedParameters& parsed) {
  for (const auto& given : parsed.given) {
    const auto match = find_parameter(descriptor, given.flag);
    if (match.parameter == nullptr || match.negated) continue;
    for (const auto other : match.parameter->excludes) {
      if (parsed.find(other) != nullptr) {
        return invalid(fmt::format("{} and {} can not stand together", given.flag, other));
      }
    }
  }
  return {};
}

}  // namespace

const ParsedParameters::Given* ParsedParameters::find(std::string_view flag) const {
  const auto found = std::find_if(given.rbegin(), given.rend(),
                                  [&](const Given& entry) { return entry.flag == flag; });
  return found == given.rend() ? nullptr : &*found;
}

Result<ParsedParameters> parse_parameters(const BackendDescriptor& descriptor,
                                          const std::vector<std::string>& parameters) {
  ParsedParameters parsed;
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (!looks_like_flag(parameters[i])) {
      return invalid(fmt::format("\"{}\" does not belong to a flag; write flags as --name value",
                                 parameters[i]));
    }
    auto written = split(parameters[i]);
    const bool has_next = !written.value && i + 1 < parameters.size();
    const auto match = find_parameter(descriptor, written.flag);
    if (match.parameter == nullptr) {
      if (has_next && !looks_like_flag(parameters[i + 1])) written.value = parameters[++i];
      parsed.warnings.push_back(
          fmt::format("{} is not a flag that {} is known to have; it is passed on as it is",
                      written.flag, descriptor.name));
      parsed.given.push_back({written.flag, written.value, false});
      continue;
    }
    const auto& parameter = *match.parameter;
    const std::string flag(match.negated ? parameter.negations.front() : parameter.flag);
    if (parameter.owner == ParameterOwner::managed) {
      return invalid(fmt::format("{} is set by Berth and can not be given{}{}", flag,
                                 parameter.text.empty() ? "" : ": ", parameter.text));
    }
    if (match.negated || parameter.type == ParameterType::flag) {
      if (written.value) return invalid(fmt::format("{} takes no value", flag));
      parsed.given.push_back({flag, std::nullopt, true, parameter.passed});
      continue;
    }
    if (has_next) written.value = parameters[++i];
    if (!written.value) return invalid(fmt::format("{} needs a value", flag));
    BERTH_CHECK(check_value(parameter, *written.value));
    parsed.given.push_back({flag, written.value, true, parameter.passed});
  }
  BERTH_CHECK(check_exclusions(descriptor, parsed));
  return parsed;
}

}  // namespace berth::backends
