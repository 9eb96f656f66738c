#include "model/deployment.h"

#include "base/describe.h"

#include <algorithm>
#include <cctype>

namespace berth::model {
namespace {

constexpr std::size_t kMaxName = 100;
constexpr std::size_t kMaxItems = 256;
// As JSON. A model's document holds up to four (in force, the way back, the history of both), and
// the kernel takes no variable that is larger (execve(2), MAX_ARG_STRLEN).
constexpr Bytes kMaxDeployment = 128_KiB;

bool is_name_char(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '_' || c == '-' ||
         c == '/';
}

tl::unexpected<Error> invalid(std::string field, std::string message) {
  return fail(Error{.code = ErrorCode::invalid_parameter,
                    .message = std::move(message),
                    .field = std::move(field)});
}

bool is_environment_name(std::string_view name) {
  if (name.empty() || std::isdigit(static_cast<unsigned char>(name[0])) != 0) return false;
  return std::all_of(name.begin(), name.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
  });
}

bool has_control_char(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](char c) { return c == '\0' || c == '\n' || c == '\r'; });
}

Result<void> check_size(const Deployment& deployment) {
  const json::value all = to_json(deployment, Secrets::show);
  const Bytes size{json::serialize(all).size()};
  if (size <= kMaxDeployment) return {};
  const auto& members = all.as_object();
  const auto* largest = std::ranges::max_element(
      members, {}, [](const auto& member) { return json::serialize(member.value()).size(); });
  return invalid(largest->key(),
                 fmt::format("the deployment has {} of JSON, most of it in {}; the "
                             "limit is {}. Put what is large into a file, and name "
                             "the file",
                             size, std::string_view(largest->key()), kMaxDeployment));
}

}  // namespace

Result<void> validate(const Deployment& deployment) {
  const auto& name = deployment.name;
  if (name.empty() || name.size() > kMaxName ||
      !std::all_of(name.begin(), name.end(), is_name_char) ||
      std::isalnum(static_cast<unsigned char>(name.front())) == 0 || name.back() == '/' ||
      name.find("//") != std::string::npos || name.find("..") != std::string::npos) {
    return invalid(
        "name", fmt::format("name \"{}\" can not be used: 1 to {} letters, digits, '.', '_', '-' "
                            "or '/', starting with a letter or digit",
                            name, kMaxName));
  }
  if (deployment.source.empty() || has_control_char(deployment.source)) {
    return invalid("source", "source must name the model's file or folder");
  }
  if (deployment.parameters.size() > kMaxItems || deployment.env.size() > kMaxItems) {
    return invalid("parameters", fmt::format("at most {} parameters and variables", kMaxItems));
  }
  for (const auto& parameter : deployment.parameters) {
    if (parameter.find('\0') != std::string::npos) {
      return invalid("parameters", "a parameter must not contain a zero byte");
    }
  }
  for (const auto& [variable, value] : deployment.env) {
    if (!is_environment_name(variable)) {
      return invalid("env." + variable,
                     fmt::format("\"{}\" is not the name of an environment variable", variable));
    }
    if (value.find('\0') != std::string::npos) {
      return invalid("env." + variable, "a variable's value must not contain a zero byte");
    }
  }
  for (const auto& device : deployment.devices) {
    const auto colon = device.find(':');
    if (colon == 0 || colon == std::string::npos || colon + 1 == device.size()) {
      return invalid("devices", fmt::format("device \"{}\" must be written as worker:device, such "
                                            "as box1:cuda:0",
                                            device));
    }
  }
  return check_size(deployment);
}

}  // namespace berth::model
