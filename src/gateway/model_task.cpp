#include "gateway/model_task.h"

namespace berth::gateway {
namespace {

using model::Category;

struct Kind {
  Category category;
  std::string_view name;
  std::string_view routes;  // where it answers; empty: nowhere yet
};
constexpr Kind kKinds[] = {
    {Category::llm, "a language model", "POST /v1/chat/completions and /v1/completions"},
    {Category::embedding, "an embedding model", "POST /v1/embeddings"},
    {Category::reranker, "a reranker", "POST /v1/rerank and /v2/rerank"},
    {Category::image, "an image model", ""},
    {Category::speech_to_text, "a speech-to-text model", ""},
    {Category::text_to_speech, "a text-to-speech model", ""},
};

Category needed_for(Task task) {
  switch (task) {
    case Task::text:
      return Category::llm;
    case Task::embeddings:
      return Category::embedding;
    case Task::rerank:
      return Category::reranker;
  }
  return Category::llm;
}

std::string_view lacks(Task task) {
  switch (task) {
    case Task::text:
      return "can not chat or continue texts";
    case Task::embeddings:
      return "makes no embeddings";
    case Task::rerank:
      return "does not rerank documents";
  }
  return "";
}

}  // namespace

Result<void> check_task(const Routes& routes, std::string_view model, Task task) {
  const auto route = routes.find(model);
  if (route == routes.end() || route->second.category == needed_for(task)) return {};
  for (const auto& kind : kKinds) {
    if (kind.category != route->second.category) continue;
    const std::string where =
        kind.routes.empty() ? "" : fmt::format("; it answers {}", kind.routes);
    return fail(make_error(ErrorCode::invalid_parameter, "the model \"{}\" is {} and {}{}", model,
                           kind.name, lacks(task), where)
                    .with_field("model"));
  }
  return {};
}

}  // namespace berth::gateway
