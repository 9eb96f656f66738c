#include "engines/descriptor.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <compare>
#include <optional>
#include <utility>

#include <toml++/toml.h>

namespace berth::engines {

namespace fs = std::filesystem;

// The descriptor as it is written.
namespace descriptor_detail {

struct Platform {
  std::string os;    // "linux"
  std::string arch;  // "x86_64", "aarch64"
  std::string libc;  // "glibc>=2.17": for people; uv itself refuses wheels that do not fit
};
BOOST_DESCRIBE_STRUCT(Platform, (), (os, arch, libc))

struct Licence {
  std::string piece;
  std::string licence;
};
BOOST_DESCRIBE_STRUCT(Licence, (), (piece, licence))

struct Flag {
  std::vector<std::string> names;
  std::string type;
  std::optional<double> min;
  std::optional<double> max;
  std::vector<std::string> values;
};
BOOST_DESCRIBE_STRUCT(Flag, (), (names, type, min, max, values))

struct Launcher {
  std::vector<Flag> flags;
  std::vector<std::string> lacks;
};
BOOST_DESCRIBE_STRUCT(Launcher, (), (flags, lacks))

struct Compile {
  std::string requirements;
  std::map<std::string, std::string> environment;
  std::vector<BuildTool> tools;
  Bytes scratch_bytes;
};
BOOST_DESCRIBE_STRUCT(Compile, (), (requirements, environment, tools, scratch_bytes))

struct Descriptor {
  std::string name;
  std::string engine;
  std::string backend;
  std::string version;
  std::string build;
  std::optional<model::PackKind> kind;
  std::string summary;
  std::string requirements;
  std::string python;
  std::vector<std::string> files;
  std::vector<std::string> finish;
  std::vector<std::string> check;
  std::optional<Compile> compile;
  Bytes download_bytes;
  Bytes installed_bytes;
  std::vector<std::string> program;
  std::vector<std::string> judge;
  std::string api_key_env;
  std::map<std::string, std::string> environment;
  std::string probe;
  std::vector<std::string> runtimes;
  std::vector<Platform> platforms;
  std::vector<SystemLibrary> system_libraries;
  std::vector<Licence> licences;
  std::map<std::string, bool> capabilities;
  std::optional<VersionProbe> version_probe;
  Launcher launcher;
};
BOOST_DESCRIBE_STRUCT(Descriptor, (),
                      (name, engine, backend, version, build, kind, summary, requirements, python,
                       files, finish, check, compile, download_bytes, installed_bytes, program,
                       judge, api_key_env, environment, probe, runtimes, platforms,
                       system_libraries, licences, capabilities, version_probe, launcher))

}  // namespace descriptor_detail

namespace {

using descriptor_detail::Descriptor;
using model::PackKind;

json::value to_json_value(const toml::node& node);

json::object to_json_object(const toml::table& table) {
  json::object object;
  for (const auto& [key, value] : table) object[std::string(key.str())] = to_json_value(value);
  return object;
}

json::value to_json_value(const toml::node& node) {
  if (const auto* table = node.as_table()) return to_json_object(*table);
  if (const auto* array = node.as_array()) {
    json::array out;
    for (const auto& element : *array) out.push_back(to_json_value(element));
    return out;
  }
  if (const auto* text = node.as_string()) return json::string(text->get());
  if (const auto* number = node.as_integer()) return number->get();
  if (const auto* number = node.as_floating_point()) return number->get();
  if (const auto* truth = node.as_boolean()) return truth->get();
  return json::string("a date or time");  // no key takes one: refused where it is read
}

bool is_plain_name(std::string_view name) {
  return !name.empty() && name.size() <= 64 && name.front() != '.' && name.front() != '-' &&
         std::ranges::all_of(name, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '-' || c == '_' || c == '.' || c == '+';
         });
}

// A path below the descriptor's folder.
bool is_inner_path(const std::string& path) {
  const fs::path parsed(path);
  return !path.empty() && parsed.is_relative() &&
         std::ranges::none_of(parsed, [](const fs::path& part) { return part == ".."; });
}

tl::unexpected<Error> bad_key(std::string_view key, std::string_view what) {
  return fail(
      make_error(ErrorCode::invalid_parameter, "{} {}", key, what).with_field(std::string(key)));
}

constexpr std::string_view kNameRule = "must be letters, digits, '-', '_', '.' or '+', at most 64";

// What only a pack that Berth installs has, and what it must have.
Result<void> check_recipe(const Descriptor& in) {
  if (in.kind != PackKind::wheel) {
    const auto out_of_place = [&]() -> std::string_view {
      if (!in.requirements.empty()) return "requirements";
      if (!in.files.empty()) return "files";
      if (!in.finish.empty()) return "finish";
      if (in.compile) return "compile";
      if (!in.check.empty()) return "check";
      if (!in.system_libraries.empty()) return "system_libraries";
      return in.python.empty() ? "" : "python";
    }();
    if (!out_of_place.empty()) return bad_key(out_of_place, "goes only with kind = \"wheel\"");
    return {};
  }
  if (!is_plain_name(in.version)) return bad_key("version", kNameRule);
  if (in.version_probe) return bad_key("version_probe", "does not go with kind = \"wheel\"");
  if (!is_inner_path(in.requirements)) {
    return bad_key("requirements", "must be the lock file, a path below the descriptor's folder");
  }
  if (!std::ranges::all_of(in.files, is_inner_path)) {
    return bad_key("files", "must be paths below the descriptor's folder");
  }
  if (in.compile && !is_inner_path(in.compile->requirements)) {
    return bad_key("compile.requirements",
                   "must be the lock file of the build, a path below the descriptor's folder");
  }
  return {};
}

Result<void> check(const Descriptor& in) {
  if (!is_plain_name(in.name)) return bad_key("name", kNameRule);
  if (in.engine.empty()) return bad_key("engine", "is missing: the inference engine's name");
  if (in.backend.empty()) return bad_key("backend", "is missing: the Berth backend that runs it");
  if (!in.kind) return bad_key("kind", "is missing: one of " + enum_choices<PackKind>());
  if (in.program.empty()) return bad_key("program", "is missing: the command that starts it");
  const auto& program = in.program.front();
  if (in.kind == PackKind::path && !program.starts_with('/')) {
    return bad_key("program", "must start with an absolute path");
  }
  if (in.kind == PackKind::system && (program.empty() || program.find('/') != std::string::npos)) {
    return bad_key("program", "of kind system is looked up on PATH and must be a bare name");
  }
  for (const auto& flag : in.launcher.flags) {
    if (flag.names.empty()) return bad_key("launcher.flags", "has a flag without names");
  }
  return check_recipe(in);
}

// "linux/amd64", as everywhere else in Berth.
std::string platform_name(const descriptor_detail::Platform& platform) {
  if (platform.arch == "x86_64") return platform.os + "/amd64";
  if (platform.arch == "aarch64") return platform.os + "/arm64";
  return platform.os + "/" + platform.arch;
}

model::PackFlag to_flag(descriptor_detail::Flag in) {
  model::PackFlag out{.flag = in.names.front(),
                      .takes_value = in.type != "switch",
                      .minimum = in.min,
                      .maximum = in.max,
                      .values = std::move(in.values)};
  out.aliases.assign(in.names.begin() + 1, in.names.end());
  if (out.takes_value) out.type = std::move(in.type);
  return out;
}

model::EnginePack to_pack(const Descriptor& in) {
  model::EnginePack out{.name = in.name,
                        .engine = in.engine,
                        .backend = in.backend,
                        .version = in.version,
                        .build = in.build,
                        .kind = *in.kind,
                        .runtimes = in.runtimes,
                        .program = in.program,
                        .lacks = in.launcher.lacks,
                        .description = in.summary,
                        .environment = in.environment,
                        .api_key_env = in.api_key_env,
                        .health_path = in.probe,
                        .compiled = in.compile.has_value(),
                        .judge = in.judge};
  for (const auto& licence : in.licences) {
    out.licences.push_back(fmt::format("{}: {}", licence.piece, licence.licence));
  }
  for (const auto& [capability, has] : in.capabilities) {
    if (has) out.capabilities.push_back(capability);
  }
  for (const auto& platform : in.platforms) out.platforms.push_back(platform_name(platform));
  for (const auto& flag : in.launcher.flags) out.flags.push_back(to_flag(flag));
  return out;
}

Error in_file(Error error, std::string_view source) {
  error.message = fmt::format("{}: {}", source, error.message);
  return error;
}

using Version = std::array<int, 2>;

std::optional<Version> parse_version(std::string_view text) {
  Version out{};
  const char* const end = text.data() + text.size();
  const auto major = std::from_chars(text.data(), end, out[0]);
  if (major.ec != std::errc() || major.ptr == end || *major.ptr != '.') return std::nullopt;
  const auto minor = std::from_chars(major.ptr + 1, end, out[1]);
  if (minor.ec != std::errc() || minor.ptr != end) return std::nullopt;
  return out;
}

bool condition_holds(std::string_view condition, const Version& version) {
  const auto digits = condition.find_first_of("0123456789");
  if (digits == std::string_view::npos) return false;
  const auto bound = parse_version(condition.substr(digits));
  auto sign = condition.substr(0, digits);
  sign = sign.substr(std::min(sign.find_first_not_of(' '), sign.size()));
  sign = sign.substr(0, sign.find_last_not_of(' ') + 1);
  if (!bound) return false;
  const auto order = version <=> *bound;
  if (sign == ">=") return order >= 0;
  if (sign == ">") return order > 0;
  if (sign == "<=") return order <= 0;
  if (sign == "<") return order < 0;
  return sign == "==" && order == 0;
}

}  // namespace

bool python_fits(std::string_view wanted, std::string_view version) {
  const auto numbers = parse_version(version);
  if (!numbers) return false;
  while (!wanted.empty()) {
    const auto comma = std::min(wanted.find(','), wanted.size());
    if (!condition_holds(wanted.substr(0, comma), *numbers)) return false;
    wanted.remove_prefix(std::min(comma + 1, wanted.size()));
  }
  return true;
}

Result<CatalogueEntry> parse_descriptor(std::string_view text, std::string_view source) {
  json::object document;
  try {
    document = to_json_object(toml::parse(text));
  } catch (const toml::parse_error& error) {
    return fail(ErrorCode::invalid_parameter, "{}: line {}: {}", source, error.source().begin.line,
                error.description());
  }
  auto in = from_json<Descriptor>(document, UnknownMembers::refuse);
  if (!in) return fail(in_file(std::move(in).error(), source));
  if (auto good = check(*in); !good) return fail(in_file(std::move(good).error(), source));
  CatalogueEntry entry{.pack = to_pack(*in), .source = std::string(source)};
  entry.probe = std::move(in->version_probe);
  if (in->kind == PackKind::wheel) {
    entry.install = InstallRecipe{.requirements = std::move(in->requirements),
                                  .files = std::move(in->files),
                                  .finish = std::move(in->finish),
                                  .check = std::move(in->check),
                                  .python = std::move(in->python),
                                  .download = in->download_bytes,
                                  .installed = in->installed_bytes,
                                  .system_libraries = std::move(in->system_libraries),
                                  .compile = std::nullopt};
    if (in->compile) {
      entry.install->compile = CompileRecipe{.requirements = std::move(in->compile->requirements),
                                             .environment = std::move(in->compile->environment),
                                             .tools = std::move(in->compile->tools),
                                             .scratch = in->compile->scratch_bytes};
    }
  }
  return entry;
}

}  // namespace berth::engines
