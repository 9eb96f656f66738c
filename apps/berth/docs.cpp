// berth docs: the reference that the program can write about itself.
#include "backends/check.h"
#include "command.h"

#include <memory>

#include <fmt/format.h>

namespace berth::app {
namespace {

std::string known_backends() {
  std::string names;
  for (const auto* backend : backends::builtin_backends().all()) {
    if (!names.empty()) names += ", ";
    names += backend->descriptor().name;
  }
  return names;
}

int print_backend(const std::string& name) {
  const auto* backend = backends::builtin_backends().find(name);
  if (backend == nullptr) {
    return report(make_error(ErrorCode::invalid_parameter,
                             "there is no backend named \"{}\"; there is {}", name,
                             known_backends()));
  }
  fmt::print("{}", backends::parameter_reference(backend->descriptor()));
  return kDone;
}

}  // namespace

void add_docs(CLI::App& app, const CommonOptions&, Command& command) {
  auto* docs = app.add_subcommand("docs", "Print reference pages (Markdown)");
  docs->require_subcommand(1);
  docs->footer("Example: berth docs backend llama-box");
  auto* backend = docs->add_subcommand("backend", "The flags and variables of a backend");
  auto name = std::make_shared<std::string>();
  backend->add_option("NAME", *name, "The backend: " + known_backends())->required();
  backend->footer("Example: berth docs backend llama-box");
  backend->callback([&command, name] { command = [name] { return print_backend(*name); }; });
}

}  // namespace berth::app
