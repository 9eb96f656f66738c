#include "gateway/rerank.h"

#include "base/ids.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <utility>

namespace berth::gateway {
namespace {

constexpr std::size_t kSearchUnit = 100;  // documents that Cohere counts as one search
constexpr std::string_view kUnknown[] = {"rank_fields", "max_chunks_per_doc", "max_tokens_per_doc"};

enum class Form { jina, cohere };

tl::unexpected<Error> wrong(std::string_view field, std::string message) {
  return fail(Error{.code = ErrorCode::invalid_parameter,
                    .message = std::move(message),
                    .field = std::string(field)});
}

// The text of a document; null where it is none.
const json::string* text_of(const json::value& document) {
  if (const auto* object = document.if_object()) {
    const auto* text = object->if_contains("text");
    return text != nullptr ? text->if_string() : nullptr;
  }
  return document.if_string();
}

Result<json::array> take_documents(json::object& body) {
  auto* documents = body.if_contains("documents");
  if (documents == nullptr || !documents->is_array() || documents->get_array().empty()) {
    return wrong("documents", "documents must be a list of texts that is not empty");
  }
  json::array taken = std::move(documents->get_array());
  body.erase("documents");
  if (taken.size() > kMostInputs) {
    return wrong("documents", fmt::format("documents has {} entries; the limit is {}", taken.size(),
                                          kMostInputs));
  }
  for (std::size_t i = 0; i < taken.size(); ++i) {
    const auto* text = text_of(taken[i]);
    if (text == nullptr) {
      return wrong("documents",
                   fmt::format("documents[{}] must be a text, or an object with \"text\"", i));
    }
    if (text->size() > kLargestInput) {
      return wrong("documents", fmt::format("documents[{}] has {} bytes; the limit is {}", i,
                                            text->size(), kLargestInput));
    }
  }
  return taken;
}

struct Wishes {
  Form form = Form::jina;
  std::size_t top = 0;
  bool documents = false;
  bool normalize = true;
};

struct Score {
  std::size_t index = 0;  // of the document
  double value = 0;
};

class Rerank final : public Portions {
 public:
  // `rest`: what the engine gets of the client's body in each portion.
  Rerank(std::string model, json::object rest, json::array documents, Wishes wishes)
      : model_(std::move(model)),
        rest_(std::move(rest)),
        documents_(std::move(documents)),
        wishes_(wishes) {
    // The query is read again with each of them.
    const std::size_t query = rest_.at("query").get_string().size();
    sizes_.reserve(documents_.size());
    for (const auto& document : documents_) sizes_.push_back(query + text_of(document)->size());
    rest_["model"] = model_;
  }

  [[nodiscard]] const std::string& model() const override { return model_; }

  Result<void> accept(const ModelRoute& route, const Target& target) override {
    slots_ = target.serving.slots;
    squash_ = wishes_.normalize && target.api.raw_scores && !route.scores_are_probabilities;
    return {};
  }

  std::optional<std::string> next() override {
    const std::size_t count = portion_of(sizes_, begin_, slots_);
    if (count == 0) return std::nullopt;
    json::array texts;
    for (std::size_t i = begin_; i < begin_ + count; ++i)
      texts.emplace_back(*text_of(documents_[i]));
    rest_["documents"] = std::move(texts);
    begin_ += count;
    count_ = count;
    return to_text(rest_);
  }

  Result<void> take(const json::object& answer) override {
    const auto* results = answer.if_contains("results");
    if (results == nullptr || !results->is_array() || results->get_array().size() != count_) {
      return fail(ErrorCode::corrupt, "the engine did not answer with {} scores", count_);
    }
    for (const auto& result : results->get_array()) BERTH_CHECK(take_score(result));
    return {};
  }

  std::string finish(const Usage& usage) override {
    std::sort(scores_.begin(), scores_.end(), [](const Score& a, const Score& b) {
      return a.value != b.value ? a.value > b.value : a.index < b.index;
    });
    if (scores_.size() > wishes_.top) scores_.resize(wishes_.top);
    json::array results;
    for (const auto& score : scores_) {
      json::object result{{"index", score.index}, {"relevance_score", score.value}};
      if (wishes_.documents) result["document"] = shown(documents_[score.index]);
      results.push_back(std::move(result));
    }
    const auto units = (documents_.size() + kSearchUnit - 1) / kSearchUnit;
    json::object meta{
        {"api_version", json::object{{"version", wishes_.form == Form::jina ? "1" : "2"}}},
        {"billed_units", json::object{{"search_units", units}}},
        {"tokens", json::object{{"input_tokens", usage.prompt_tokens}}}};
    json::object answer{
        {"id", random_id(24)}, {"results", std::move(results)}, {"meta", std::move(meta)}};
    if (wishes_.form == Form::jina) {
      answer["object"] = "list";
      answer["model"] = model_;
      answer["usage"] = json::object{{"prompt_tokens", usage.prompt_tokens},
                                     {"total_tokens", usage.prompt_tokens}};
    }
    return to_text(answer);
  }

 private:
  Result<void> take_score(const json::value& result) {
    const auto* object = result.if_object();
    const auto* index = object != nullptr ? object->if_contains("index") : nullptr;
    const auto* score = object != nullptr ? object->if_contains("relevance_score") : nullptr;
    const bool whole = index != nullptr && score != nullptr && index->is_int64() &&
                       score->is_number() && index->get_int64() >= 0 &&
                       std::cmp_less(index->get_int64(), count_);
    if (!whole) return fail(ErrorCode::corrupt, "the engine's scores are none");
    const auto value = score->to_number<double>();
    scores_.push_back({.index = begin_ - count_ + static_cast<std::size_t>(index->get_int64()),
                       .value = squash_ ? 1 / (1 + std::exp(-value)) : value});
    return {};
  }

  static json::value shown(const json::value& document) {
    if (document.is_object()) return document;
    return json::object{{"text", document}};
  }

  std::string model_;
  json::object rest_;
  json::array documents_;
  Wishes wishes_;
  std::vector<std::size_t> sizes_;
  std::vector<Score> scores_;
  std::uint32_t slots_ = 1;
  bool squash_ = false;
  std::size_t begin_ = 0;  // of what was not asked for yet
  std::size_t count_ = 0;  // of documents under way
};

Result<std::unique_ptr<Portions>> read_rerank(json::object body, Form form) {
  for (const auto field : kUnknown) {
    if (body.contains(field)) {
      return wrong(field, fmt::format("{} is not supported; shorten the documents or make texts of "
                                      "them before they are sent",
                                      field));
    }
  }
  Wishes wishes{.form = form};
  BERTH_TRY(auto model, take_text(body, "model"));
  BERTH_TRY(const auto query, take_text(body, "query"));
  if (query.empty() || query.size() > kLargestInput) {
    return wrong("query", fmt::format("query must have 1 to {} bytes", kLargestInput));
  }
  BERTH_TRY(auto documents, take_documents(body));
  BERTH_TRY(const auto top, take_count(body, "top_n"));
  wishes.top = top.value_or(documents.size());
  BERTH_TRY(wishes.documents, take_switch(body, "return_documents", form == Form::jina));
  BERTH_TRY(wishes.normalize, take_switch(body, "normalize", true));
  body["query"] = query;
  return std::make_unique<Rerank>(std::move(model), std::move(body), std::move(documents), wishes);
}

}  // namespace

Result<std::unique_ptr<Portions>> read_jina_rerank(json::object body) {
  return read_rerank(std::move(body), Form::jina);
}

Result<std::unique_ptr<Portions>> read_cohere_rerank(json::object body) {
  return read_rerank(std::move(body), Form::cohere);
}

}  // namespace berth::gateway
