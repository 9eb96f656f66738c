#include "text/deployment_file.h"

#include "text/documents.h"

#include <map>

namespace berth::text {
namespace {

Error at_line(Error error, std::string_view file, int line) {
  return std::move(error).context("{}, line {}", file, line);
}

Result<model::Deployment> read_one(const json::value& value) {
  BERTH_TRY(auto deployment, from_json<model::Deployment>(value, UnknownMembers::refuse));
  BERTH_CHECK(model::validate(deployment));
  return deployment;
}

class Reader {
 public:
  explicit Reader(std::string_view file) : file_(file) {}

  Result<void> add(const json::value& value, const YamlDocument& document,
                   const std::string& prefix) {
    auto deployment = read_one(value);
    if (!deployment) {
      const int line = document.line_of(prefix.empty() ? deployment.error().field
                                                       : prefix + "." + deployment.error().field);
      return fail(at_line(std::move(deployment).error(), file_, line));
    }
    const int line = document.line_of(prefix.empty() ? "name" : prefix + ".name");
    const auto [other, is_new] = lines_.try_emplace(deployment->name, line);
    if (!is_new) {
      return fail(make_error(ErrorCode::invalid_parameter,
                             "{}, line {}: there is a deployment named \"{}\" in line {} already",
                             file_, line, deployment->name, other->second)
                      .with_field("name"));
    }
    found_.push_back(std::move(*deployment));
    return {};
  }

  std::vector<model::Deployment> take() { return std::move(found_); }

 private:
  std::string_view file_;
  std::map<std::string, int> lines_;  // by name
  std::vector<model::Deployment> found_;
};

// What differs from `defaults`, also inside objects that both have.
json::object without_defaults(const json::object& object, const json::object& defaults) {
  json::object left;
  for (const auto& member : object) {
    const auto* usual = defaults.if_contains(member.key());
    if (usual != nullptr && *usual == member.value()) continue;
    const bool both_nested = usual != nullptr && usual->is_object() && member.value().is_object() &&
                             !usual->get_object().empty();
    left[member.key()] = both_nested
                             ? without_defaults(member.value().get_object(), usual->get_object())
                             : member.value();
  }
  return left;
}

}  // namespace

Result<std::vector<model::Deployment>> read_deployments(std::string_view content,
                                                        std::string_view file) {
  auto documents = parse_documents(content);
  if (!documents) return fail(std::move(documents).error().context("{}", file));
  Reader reader(file);
  for (const auto& document : *documents) {
    if (document.value.is_null()) continue;
    if (const auto* array = document.value.if_array()) {
      for (std::size_t i = 0; i < array->size(); ++i) {
        BERTH_CHECK(reader.add((*array)[i], document, fmt::format("[{}]", i)));
      }
      continue;
    }
    BERTH_CHECK(reader.add(document.value, document, ""));
  }
  auto found = reader.take();
  if (found.empty()) {
    return fail(ErrorCode::invalid_parameter,
                "{} holds no deployment; one has at least a name and a source", file);
  }
  return found;
}

json::object to_written(const model::Deployment& deployment) {
  const json::value whole = to_json(deployment, Secrets::show);
  const json::value defaults = to_json(model::Deployment{}, Secrets::show);
  return without_defaults(whole.get_object(), defaults.get_object());
}

std::string to_yaml(const model::Deployment& deployment) {
  return to_yaml(json::value(to_written(deployment)));
}

}  // namespace berth::text
