#include "gateway/embeddings.h"

#include "gateway/vectors.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace berth::gateway {
namespace {

tl::unexpected<Error> wrong(std::string_view field, std::string message) {
  return fail(Error{.code = ErrorCode::invalid_parameter,
                    .message = std::move(message),
                    .field = std::string(field)});
}

bool is_token(const json::value& value) { return value.is_int64() && value.get_int64() >= 0; }

bool are_tokens(const json::value& value) {
  return value.is_array() && !value.get_array().empty() &&
         std::all_of(value.get_array().begin(), value.get_array().end(), is_token);
}

std::size_t size_of(const json::value& input) {
  return input.is_string() ? input.get_string().size() : input.get_array().size() * sizeof(int);
}

// One input: a text or a list of tokens.
Result<void> check_input(const json::value& input) {
  if (input.is_string() ? input.get_string().empty() : !are_tokens(input)) {
    return wrong("input",
                 "input must be a text that is not empty, a list of tokens, or a list of "
                 "either");
  }
  if (size_of(input) > kLargestInput) {
    return wrong("input", fmt::format("input has a text of {} bytes; the limit is {}",
                                      size_of(input), kLargestInput));
  }
  return {};
}

Result<json::array> take_inputs(json::object& body) {
  json::array inputs;
  auto* input = body.if_contains("input");
  if (input == nullptr) return wrong("input", "input is missing: what shall be embedded");
  if (input->is_array() && !are_tokens(*input)) {
    inputs = std::move(input->get_array());
  } else {
    inputs.push_back(std::move(*input));
  }
  if (inputs.empty()) return wrong("input", "input must not be empty");
  if (inputs.size() > kMostInputs) {
    return wrong("input",
                 fmt::format("input has {} entries; the limit is {}", inputs.size(), kMostInputs));
  }
  for (const auto& one : inputs) BERTH_CHECK(check_input(one));
  const auto is_text = [](const json::value& one) { return one.is_string(); };
  const auto texts = std::count_if(inputs.begin(), inputs.end(), is_text);
  if (texts != 0 && static_cast<std::size_t>(texts) != inputs.size()) {
    return wrong("input", "input mixes texts and lists of tokens; send them apart");
  }
  return inputs;
}

class Embeddings final : public Portions {
 public:
  // `rest`: what the engine gets of the client's body in each portion.
  Embeddings(std::string model, json::object rest, json::array inputs, bool base64,
             std::optional<std::uint64_t> dimensions)
      : model_(std::move(model)),
        rest_(std::move(rest)),
        inputs_(std::move(inputs)),
        base64_(base64),
        dimensions_(dimensions) {
    sizes_.reserve(inputs_.size());
    for (const auto& input : inputs_) sizes_.push_back(size_of(input));
    rest_["model"] = model_;
    rest_["encoding_format"] = "base64";  // exact, and a quarter of the text
  }

  [[nodiscard]] const std::string& model() const override { return model_; }

  Result<void> accept(const ModelRoute& route, const Target& target) override {
    slots_ = target.serving.slots;
    const std::size_t most = target.serving.context;
    const auto is_too_long = [&](const json::value& input) {
      return input.is_array() && most != 0 && input.get_array().size() > most;
    };
    if (std::any_of(inputs_.begin(), inputs_.end(), is_too_long)) {
      return wrong("input",
                   fmt::format("input has more tokens than the {} that the model reads", most));
    }
    if (!dimensions_) return {};
    if (!target.api.ignores_dimensions) {
      rest_["dimensions"] = *std::exchange(dimensions_, std::nullopt);
      return {};
    }
    const std::uint64_t length = route.embedding_length;
    if (*dimensions_ == length) return {};
    if (length != 0 && *dimensions_ > length) {
      return wrong("dimensions",
                   fmt::format("dimensions must be at most {} (got {})", length, *dimensions_));
    }
    if (route.nested_embeddings) return {};
    return wrong("dimensions",
                 fmt::format("dimensions must be {} or left out: the model \"{}\" was not trained "
                             "for embeddings that are cut",
                             length, model_));
  }

  std::optional<std::string> next() override {
    const std::size_t count = portion_of(sizes_, begin_, slots_);
    if (count == 0) return std::nullopt;
    const auto first = inputs_.begin() + static_cast<std::ptrdiff_t>(begin_);
    rest_["input"] = json::array(first, first + static_cast<std::ptrdiff_t>(count));
    begin_ += count;
    count_ = count;
    return to_text(rest_);
  }

  Result<void> take(const json::object& answer) override {
    const auto* data = answer.if_contains("data");
    if (data == nullptr || !data->is_array() || data->get_array().size() != count_) {
      return fail(ErrorCode::corrupt, "the engine did not answer with {} embeddings", count_);
    }
    // Engines put them in order, and number them.
    std::size_t index = begin_ - count_;
    for (const auto& entry : data->get_array()) {
      const auto* object = entry.if_object();
      const auto* embedding = object != nullptr ? object->if_contains("embedding") : nullptr;
      if (embedding == nullptr) return fail(ErrorCode::corrupt, "the engine left an embedding out");
      BERTH_TRY(auto vector, read_vector(*embedding));
      if (dimensions_) BERTH_CHECK(shorten(vector, *dimensions_));
      text_ += fmt::format(
          "{}{{\"object\":\"embedding\",\"index\":{},\"embedding\":", index == 0 ? "" : ",", index);
      append_vector(text_, vector, base64_);
      text_ += '}';
      ++index;
    }
    return {};
  }

  std::string finish(const Usage& usage) override {
    return fmt::format(
        R"({{"object":"list","data":[{}],"model":{},"usage":{{"prompt_tokens":{},"total_tokens":{}}}}})",
        text_, to_text(json::value(model_)), usage.prompt_tokens, usage.prompt_tokens);
  }

 private:
  std::string model_;
  json::object rest_;
  json::array inputs_;
  bool base64_;
  std::optional<std::uint64_t> dimensions_;  // to which the gateway shortens
  std::vector<std::size_t> sizes_;
  std::uint32_t slots_ = 1;
  std::size_t begin_ = 0;  // of what was not asked for yet
  std::size_t count_ = 0;  // of inputs under way
  std::string text_;       // of "data", as far as it is known
};

}  // namespace

Result<std::unique_ptr<Portions>> read_embeddings(json::object body) {
  BERTH_TRY(auto model, take_text(body, "model"));
  BERTH_TRY(auto inputs, take_inputs(body));
  BERTH_TRY(const auto dimensions, take_count(body, "dimensions"));
  std::string format = "float";
  if (const auto* wish = body.if_contains("encoding_format"); wish != nullptr && !wish->is_null()) {
    BERTH_TRY(format, take_text(body, "encoding_format"));
  }
  if (format != "float" && format != "base64") {
    return wrong("encoding_format",
                 fmt::format("encoding_format must be float or base64 (got \"{}\")", format));
  }
  return std::make_unique<Embeddings>(std::move(model), std::move(body), std::move(inputs),
                                      format == "base64", dimensions);
}

}  // namespace berth::gateway
