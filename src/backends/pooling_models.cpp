#include "backends/pooling_models.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <string>
#include <string_view>

namespace berth::backends {
namespace {

// As their authors say; in the form of `plain`.
constexpr std::array<std::string_view, 12> kNested = {
    "embeddinggemma",
    "jina-clip-v2",
    "jina-embeddings-v3",
    "jina-embeddings-v4",
    "mxbai-embed-large-v1",
    "mxbai-embed-2d-large-v1",
    "nomic-embed-text-v1.5",
    "nomic-embed-text-v2",
    "qwen3-embedding",
    "snowflake-arctic-embed-l-v2",
    "snowflake-arctic-embed-m-v1.5",
    "snowflake-arctic-embed-m-v2",
};

// llama.cpp (llm_graph_context::build_pooling, rank) puts a softmax behind these.
constexpr std::array<std::string_view, 2> kProbabilities = {"qwen3", "qwen3vl"};

// "Nomic Embed Text v1.5" as its repository would write it: "nomic-embed-text-v1.5".
std::string plain(std::string_view name) {
  std::string text(name);
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) {
    return c == ' ' || c == '_' ? '-' : static_cast<char>(std::tolower(c));
  });
  return text;
}

bool is_nested(std::string_view name) {
  const std::string text = plain(name);
  return std::any_of(kNested.begin(), kNested.end(), [&](std::string_view family) {
    return text.find(family) != std::string::npos;
  });
}

}  // namespace

bool has_nested_embeddings(const model::ModelProfile& profile) {
  return is_nested(profile.name) ||
         std::any_of(profile.base_names.begin(), profile.base_names.end(), is_nested);
}

bool scores_are_probabilities(const model::ModelProfile& profile) {
  return std::find(kProbabilities.begin(), kProbabilities.end(), profile.architecture) !=
         kProbabilities.end();
}

}  // namespace berth::backends
