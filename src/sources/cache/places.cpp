#include "sources/cache/places.h"

#include <cstdlib>
#include <string>
#include <string_view>

namespace berth::sources {

namespace fs = std::filesystem;

namespace {

constexpr const char* kGpuStack = "/var/lib/gpustack/cache";
// The home of the user that Ollama's installer makes for its service.
constexpr const char* kOllamaService = "/usr/share/ollama/.ollama/models";

class Environment {
 public:
  explicit Environment(const EnvironmentLookup& lookup) : lookup_(lookup) {}

  [[nodiscard]] std::string text(const char* name) const {
    const char* value = lookup_(name);
    return value == nullptr ? "" : value;
  }

  [[nodiscard]] const EnvironmentLookup& lookup() const { return lookup_; }

  // The path that `text`, of the variable `name`, is.
  [[nodiscard]] Result<fs::path> path(const char* name, const std::string& text) const {
    fs::path path = text;
    if (text == "~" || text.starts_with("~/")) {
      BERTH_TRY(const fs::path home, this->home());
      path = home / fs::path(text).lexically_relative("~");
    }
    if (!path.is_absolute() || text.find('\0') != std::string::npos) {
      return fail(make_error(ErrorCode::invalid_parameter,
                             "{} holds \"{}\", which is no absolute path of a folder", name,
                             sources::quoted(text))
                      .with_field(name));
    }
    path = path.lexically_normal();
    return path.has_filename() ? path : path.parent_path();
  }

  // What the first of `names` that is set holds with `below` behind it; nothing where none is.
  [[nodiscard]] Result<std::optional<fs::path>> first_of(
      std::initializer_list<const char*> names) const {
    for (const char* name : names) {
      const std::string value = text(name);
      if (value.empty()) continue;
      BERTH_TRY(auto path, this->path(name, value));
      return path;
    }
    return std::nullopt;
  }

  [[nodiscard]] Result<fs::path> home() const {
    const fs::path home = text("HOME");
    if (home.is_absolute()) return home;
    return fail(make_error(ErrorCode::invalid_parameter,
                           "HOME holds no absolute path, and it says where the models' files lie; "
                           "set it, or each of HF_HOME, MODELSCOPE_CACHE, OLLAMA_MODELS and "
                           "XDG_CACHE_HOME")
                    .with_field("HOME"));
  }

 private:
  const EnvironmentLookup& lookup_;
};

Result<fs::path> user_cache(const Environment& environment) {
  BERTH_TRY(auto path, environment.first_of({"XDG_CACHE_HOME"}));
  if (path) return *path;
  BERTH_TRY(const auto home, environment.home());
  return home / ".cache";
}

// huggingface_hub 2.4, constants.py.
Result<fs::path> hugging_face_place(const Environment& environment) {
  BERTH_TRY(const auto cache, environment.first_of({"HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"}));
  if (cache) return *cache;
  BERTH_TRY(const auto home, hugging_face_home(environment.lookup()));
  return home / "hub";
}

// modelscope_hub 0.5 (which modelscope 1.40 downloads with), config.py. It has no regard for
// XDG_CACHE_HOME.
Result<fs::path> model_scope_place(const Environment& environment) {
  BERTH_TRY(const auto cache, environment.first_of({"MODELSCOPE_CACHE"}));
  if (cache) return *cache;
  BERTH_TRY(const auto home, environment.home());
  return home / ".cache" / "modelscope";
}

Result<fs::path> ollama_place(const Environment& environment) {
  BERTH_TRY(const auto models, environment.first_of({"OLLAMA_MODELS"}));
  if (models) return *models;
  BERTH_TRY(const auto home, environment.home());
  return home / ".ollama" / "models";
}

Result<std::vector<fs::path>> other_places(const Environment& environment) {
  constexpr const char* kName = "BERTH_MODEL_CACHES";
  std::vector<fs::path> places;
  const std::string list = environment.text(kName);
  for (std::string_view rest = list; !rest.empty();) {
    const std::string_view one = rest.substr(0, rest.find(':'));
    rest.remove_prefix(std::min(rest.size(), one.size() + 1));
    if (one.empty()) continue;
    BERTH_TRY(auto path, environment.path(kName, std::string(one)));
    places.push_back(std::move(path));
  }
  places.emplace_back(kGpuStack);
  return places;
}

}  // namespace

Result<CachePlaces> read_cache_places(const EnvironmentLookup& lookup) {
  const Environment environment(lookup);
  CachePlaces places;
  BERTH_TRY(places.hugging_face, hugging_face_place(environment));
  BERTH_TRY(places.model_scope, model_scope_place(environment));
  BERTH_TRY(places.ollama, ollama_place(environment));
  BERTH_TRY(places.others, other_places(environment));
  BERTH_TRY(const auto user, user_cache(environment));
  places.known_digests = user / "berth" / "digests";
  if (places.ollama != kOllamaService) places.other_ollama.emplace_back(kOllamaService);
  return places;
}

Result<CachePlaces> read_cache_places() {
  // NOLINTNEXTLINE(concurrency-mt-unsafe): nothing here changes the environment
  return read_cache_places([](const char* name) { return std::getenv(name); });
}

}  // namespace berth::sources
