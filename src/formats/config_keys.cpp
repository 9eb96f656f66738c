#include "formats/config_keys.h"

#include "formats/config_defaults.h"
#include "formats/cursor.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

namespace berth::formats {
namespace {

constexpr std::uint32_t kDefaultContext = 2048;

constexpr std::array<std::string_view, 9> kLengthKeys = {"max_position_embeddings",
                                                         "n_positions",
                                                         "max_seq_len",
                                                         "seq_length",
                                                         "model_max_length",
                                                         "max_target_positions",
                                                         "max_sequence_length",
                                                         "max_seq_length",
                                                         "seq_len"};

// Scalings whose length is the configured one already.
constexpr std::array<std::string_view, 3> kUnscaled = {"su", "longrope", "llama3"};

bool is_language(const ConfigKeys& keys) {
  return keys.has("hidden_size") || keys.has("num_hidden_layers") || keys.has("model_type");
}

std::string rope_type(const ConfigKeys& rope) {
  auto type = rope.text("rope_type");
  return type.empty() ? rope.text("type") : type;
}

// What one set of rope parameters does to `length`; returns the factor to apply in the end.
double apply_rope(const ConfigKeys& rope, double factor, double& length) {
  const std::string type = rope_type(rope);
  if (type.empty() || std::ranges::find(kUnscaled, type) != kUnscaled.end()) return factor;
  if (type == "yarn") length = rope.real("original_max_position_embeddings").value_or(length);
  return rope.real("factor").value_or(factor);
}

// One object, or one for each kind of layer ({"full_attention": {...}}).
void apply_ropes(const ConfigKeys& language, double& length) {
  auto rope = language.inside("rope_parameters");
  if (!rope) rope = language.inside("rope_scaling");
  if (!rope || language.text("model_type").find("gemma3") != std::string::npos) return;
  double factor = 1;
  if (!rope_type(*rope).empty()) {
    factor = apply_rope(*rope, factor, length);
  } else {
    for (const auto& [kind, unused] : rope->object()) {
      if (const auto one = rope->inside(kind)) factor = apply_rope(*one, factor, length);
    }
  }
  length *= factor;
}

}  // namespace

std::optional<std::uint32_t> whole_number(const json::value& value) {
  constexpr auto kMax = std::numeric_limits<std::uint32_t>::max();
  if (value.is_int64() && value.get_int64() >= 0 && value.get_int64() <= std::int64_t{kMax}) {
    return static_cast<std::uint32_t>(value.get_int64());
  }
  if (value.is_double() && value.get_double() >= 0 && value.get_double() <= kMax &&
      std::floor(value.get_double()) == value.get_double()) {
    return static_cast<std::uint32_t>(value.get_double());
  }
  return std::nullopt;
}

const json::value* ConfigKeys::find(std::string_view key) const {
  const auto* value = object_->if_contains(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

Result<std::optional<std::uint32_t>> ConfigKeys::number(std::string_view key) const {
  const auto* value = find(key);
  if (value == nullptr) return std::nullopt;
  const auto number = whole_number(*value);
  if (!number) {
    return fail(ErrorCode::corrupt, "{}: {} is no whole number of 32 bits", place(key),
                printable(to_text(*value), 40));
  }
  return number;
}

Result<std::uint32_t> ConfigKeys::number(std::string_view key, std::uint32_t fallback) const {
  BERTH_TRY(const auto found, number(key));
  return found.value_or(fallback);
}

Result<std::optional<std::uint32_t>> ConfigKeys::first_number(
    std::initializer_list<std::string_view> keys) const {
  for (const auto key : keys) {
    BERTH_TRY(const auto found, number(key));
    if (found) return found;
  }
  return std::nullopt;
}

std::optional<double> ConfigKeys::real(std::string_view key) const {
  const auto* value = find(key);
  if (value == nullptr || !value->is_number()) return std::nullopt;
  const double number = value->to_number<double>();
  return std::isfinite(number) ? std::optional(number) : std::nullopt;
}

std::string ConfigKeys::text(std::string_view key) const {
  const auto* value = find(key);
  return value != nullptr && value->is_string() ? std::string(value->get_string()) : "";
}

bool ConfigKeys::flag(std::string_view key, bool fallback) const {
  const auto* value = find(key);
  return value != nullptr && value->is_bool() ? value->get_bool() : fallback;
}

const json::array* ConfigKeys::array(std::string_view key) const {
  const auto* value = find(key);
  return value != nullptr && value->is_array() ? &value->get_array() : nullptr;
}

std::optional<ConfigKeys> ConfigKeys::inside(std::string_view key) const {
  const auto* value = find(key);
  if (value == nullptr || !value->is_object()) return std::nullopt;
  return ConfigKeys(value->get_object(), place(key) + ".");
}

ConfigKeys language_keys(const ConfigKeys& config) {
  if (const auto thinker = config.inside("thinker_config")) return language_keys(*thinker);
  for (const std::string_view key : {"text_config", "llm_config", "language_config"}) {
    if (const auto inside = config.inside(key); inside && is_language(*inside)) return *inside;
  }
  return config;
}

Result<std::uint32_t> derived_context(const ConfigKeys& language, const ConfigKeys* tokenizer,
                                      const ConfigKeys* encoder) {
  double length = std::numeric_limits<double>::infinity();
  for (const auto key : kLengthKeys) length = std::min(length, language.real(key).value_or(length));
  if (const auto own = language.real("model_max_length"); own && *own > 0) length = *own;
  const bool absolute = language.text("position_embedding_type") == "absolute";
  if (tokenizer != nullptr && absolute) {
    length = std::min(length, tokenizer->real("model_max_length").value_or(length));
  }
  if (std::isinf(length)) {
    const auto of_class = config_defaults(language.text("model_type")).context;
    length = of_class != 0 ? of_class : kDefaultContext;
  }
  apply_ropes(language, length);
  if (encoder != nullptr) length = encoder->real("max_seq_length").value_or(length);
  // vLLM keeps to what it was trained for, unless told (models/config.py, NomicBertModelConfig).
  if (language.text("model_type") == "nomic_bert") {
    length = std::min(length, language.real("max_trained_positions").value_or(kDefaultContext));
  }
  if (length < 0 || length > std::numeric_limits<std::uint32_t>::max()) {
    return fail(ErrorCode::corrupt, "{}: a context of {} tokens is impossible",
                language.place("max_position_embeddings"), length);
  }
  return static_cast<std::uint32_t>(length);
}

}  // namespace berth::formats
