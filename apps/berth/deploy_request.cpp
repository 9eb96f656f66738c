#include "deploy_request.h"

#include "sources/local.h"

#include <cctype>
#include <filesystem>

#include <fmt/format.h>

namespace berth::app {
namespace {

constexpr std::size_t kLongestName = 100;
// Reading the header of a model on a slow disk.
constexpr std::chrono::minutes kAcceptPatience{5};

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

}  // namespace

Result<std::string> absolute_source(const std::string& text, bool same_machine) {
  std::error_code error;
  const auto here = std::filesystem::current_path(error);
  if (error) return fail(ErrorCode::io, "the current folder is unknown: {}", error.message());
  BERTH_TRY(const auto path, sources::normalise_source(text, here));
  if (same_machine && !std::filesystem::exists(path, error)) {
    return fail(ErrorCode::not_found, "there is no file or folder {}", path.string());
  }
  return path.string();
}

std::string name_from_source(const std::string& source) {
  std::filesystem::path path(source);
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
