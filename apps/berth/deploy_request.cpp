#include "deploy_request.h"

#include "sources/hub/name.h"
#include "sources/local.h"
#include "sources/local_model.h"

#include <cctype>
#include <filesystem>

#include <fmt/format.h>

namespace berth::app {
namespace {

constexpr std::size_t kLongestName = 100;
// Reading the header of a model on a slow disk.
constexpr std::chrono::minutes kAcceptPatience{5};

struct MatchAnswer {
  std::string path;
};
BOOST_DESCRIBE_STRUCT(MatchAnswer, (), (path))

bool is_digits(std::string_view text) {
  for (const char c : text) {
    if (std::isdigit(static_cast<unsigned char>(c)) == 0) return false;
  }
  return !text.empty();
}

// "model-00001-of-00003" is "model".
std::string without_part(const std::string& stem) {
  constexpr std::string_view kOf = "-of-";
  const auto of = stem.rfind(kOf);
  if (of == std::string::npos || of == 0) return stem;
  const auto dash = stem.rfind('-', of - 1);
  if (dash == std::string::npos) return stem;
  const std::string_view text(stem);
  const bool is_part =
      is_digits(text.substr(dash + 1, of - dash - 1)) && is_digits(text.substr(of + kOf.size()));
  return is_part ? stem.substr(0, dash) : stem;
}

// What a path would be called that has the same model: "hf:org/Name-GGUF:Q4_K_M" is "Name".
std::string path_like(const std::string& source) {
  if (!sources::is_hub_name(source)) return source;
  const auto name = sources::parse_hub_name(source);
  if (!name) return source;
  if (!name->file.empty()) return name->file;
  std::string text = name->repository.substr(name->repository.rfind('/') + 1);
  for (const std::string_view ending : {"-GGUF", "-gguf"}) {
    if (text.ends_with(ending)) text.resize(text.size() - ending.size());
  }
  if (name->hub == sources::Hub::ollama && !name->revision.empty()) text += '-' + name->revision;
  return text;
}

}  // namespace

bool is_written_as_path(std::string_view text) {
  return text.starts_with('/') || text.starts_with("./") || text.starts_with("../") ||
         text.starts_with("file:") || text.ends_with(".gguf") || sources::is_glob(text);
}

Result<std::optional<ModelView>> find_model(const ApiClient& client, const std::string& name) {
  auto answer = client.get(model_target(name));
  if (!answer && answer.error().code == ErrorCode::not_found) return std::optional<ModelView>();
  if (!answer) return fail(std::move(answer).error());
  BERTH_TRY(auto view, read_answer<ModelView>(*answer));
  return std::optional<ModelView>(std::move(view));
}

Result<std::string> absolute_source(const std::string& text, bool same_machine) {
  std::error_code error;
  const auto here = std::filesystem::current_path(error);
  if (error) return fail(ErrorCode::io, "the current folder is unknown: {}", error.message());
  BERTH_TRY(auto source, sources::normalise_model(text, here));
  if (!same_machine || sources::is_hub_name(source)) return source;
  BERTH_TRY(const auto path, sources::resolve_glob(source));
  if (!std::filesystem::exists(path, error)) {
    return fail(ErrorCode::not_found, "there is no file or folder {}", path.string());
  }
  return path.string();
}

Result<std::string> ask_what_matches(const ApiClient& client, const std::string& glob) {
  BERTH_TRY(const auto answer,
            client.post("/api/v1/evaluate", {{"source", glob}}, kAcceptPatience));
  BERTH_TRY(auto read, read_answer<MatchAnswer>(answer));
  return std::move(read.path);
}

std::string name_from_source(const std::string& source) {
  std::filesystem::path path(path_like(source));
  if (!path.has_filename()) path = path.parent_path();
  const bool is_file = path.extension() == ".gguf";
  const std::string stem = without_part((is_file ? path.stem() : path.filename()).string());
  std::string name;
  for (const char c : stem) {
    const bool usual = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
    const bool mark = c == '.' || c == '-';
    if (usual || (mark && !name.empty() && name.back() != '.'))
      name += c;
    else if (!name.empty() && name.back() != '-')
      name += '-';
  }
  const auto first = name.find_first_not_of("_-.");
  if (first == std::string::npos) return "";
  name = name.substr(first, kLongestName);
  return name.substr(0, name.find_last_not_of("-.") + 1);
}

Result<json::value> create_model(const ApiClient& client, const model::Deployment& deployment) {
  return client.post("/api/v1/models", to_json(deployment, Secrets::show), kAcceptPatience);
}

}  // namespace berth::app
