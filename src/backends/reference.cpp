#include "backends/check.h"

namespace berth::backends {
namespace {

std::string escape(std::string_view text) {
  std::string out;
  for (const char c : text) {
    if (c == '|') out += '\\';
    out += c;
  }
  return out;
}

std::string spelling(const Parameter& parameter) {
  std::vector<std::string> names = {fmt::format("`{}`", parameter.flag)};
  for (const auto alias : parameter.aliases) names.push_back(fmt::format("`{}`", alias));
  for (const auto negation : parameter.negations) names.push_back(fmt::format("`{}`", negation));
  return fmt::format("{}", fmt::join(names, ", "));
}

std::string values(const Parameter& parameter) {
  std::string text;
  switch (parameter.type) {
    case ParameterType::flag:
      return "(none)";
    case ParameterType::integer:
      text = "whole number";
      break;
    case ParameterType::number:
      text = "number";
      break;
    case ParameterType::text:
      text = "text";
      break;
    case ParameterType::path:
      text = "path";
      break;
    case ParameterType::choice:
      return fmt::format("{}", fmt::join(parameter.choices, ", "));
  }
  if (!parameter.choices.empty()) text += fmt::format(" or {}", fmt::join(parameter.choices, ", "));
  if (parameter.minimum) text += fmt::format(", from {}", *parameter.minimum);
  if (parameter.maximum) text += fmt::format(", to {}", *parameter.maximum);
  return text;
}

void write_section(std::string& out, const BackendDescriptor& descriptor, ParameterOwner owner,
                   std::string_view title, std::string_view text) {
  std::string rows;
  for (const auto& parameter : descriptor.parameters) {
    if (parameter.owner != owner) continue;
    rows += fmt::format("| {} | {} | {} | {} |\n", spelling(parameter), escape(values(parameter)),
                        escape(parameter.default_value), escape(parameter.text));
  }
  if (rows.empty()) return;
  out += fmt::format("\n## {}\n\n{}\n\n| flag | value | default | meaning |\n|---|---|---|---|\n{}",
                     title, text, rows);
}

std::string_view effect(VariableRule rule) {
  switch (rule) {
    case VariableRule::forced:
      return "set by Berth; refused at deployment";
    case VariableRule::overridden:
      return "not in force; accepted with a warning";
    case VariableRule::preset:
      return "set by Berth unless you give it";
    case VariableRule::removed:
      return "refused at deployment";
    case VariableRule::guarded:
      return "refused unless allowed by the operator (allow_env)";
  }
  return "";
}

}  // namespace

std::string parameter_reference(const BackendDescriptor& descriptor) {
  std::string out =
      fmt::format("# {}\n\n{}\n\nEngines: {}. Platforms: {}.\n", descriptor.name, descriptor.text,
                  fmt::join(descriptor.engines, ", "), fmt::join(descriptor.platforms, ", "));
  write_section(out, descriptor, ParameterOwner::shared, "Parameters that Berth computes with",
                "Your wish counts; what the engine gets is computed from it.");
  write_section(out, descriptor, ParameterOwner::user, "Parameters that pass through",
                "Checked and handed to the engine. A flag that is not listed here passes through "
                "with a warning.");
  write_section(out, descriptor, ParameterOwner::managed, "Parameters that are refused",
                "Berth sets them itself, or does what they do in another way.");
  if (!descriptor.variables.empty()) {
    out += "\n## Environment variables\n\nAny other variable reaches the engine as it is.\n\n";
    out += "| variable | what happens | why |\n|---|---|---|\n";
    for (const auto& variable : descriptor.variables) {
      out += fmt::format("| `{}` | {} | {} |\n", variable.name, effect(variable.rule),
                         escape(variable.why));
    }
  }
  return out;
}

}  // namespace berth::backends
