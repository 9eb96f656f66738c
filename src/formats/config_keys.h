// ConfigKeys: typed reading of a config.json of Hugging Face's. Internal to formats.
#pragma once

#include "base/json.h"
#include "base/result.h"

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>

namespace berth::formats {

// The keys of one object. A key that is null counts as absent, as it does for transformers. Errors
// are `corrupt` and name the place: "config.json: text_config.hidden_size". A view: the object must
// outlive it.
class ConfigKeys {
 public:
  // `place` is a file and maybe a path in it: "config.json: text_config."; errors begin with it.
  ConfigKeys(const json::object& object, std::string place)
      : object_(&object), place_(std::move(place)) {}

  [[nodiscard]] const json::value* find(std::string_view key) const;
  [[nodiscard]] bool has(std::string_view key) const { return find(key) != nullptr; }

  // A whole number of 32 bits, also where it is written as 4096.0; nothing where absent.
  [[nodiscard]] Result<std::optional<std::uint32_t>> number(std::string_view key) const;
  [[nodiscard]] Result<std::uint32_t> number(std::string_view key, std::uint32_t fallback) const;
  // The first of the keys that is there.
  [[nodiscard]] Result<std::optional<std::uint32_t>> first_number(
      std::initializer_list<std::string_view> keys) const;
  // Any number, as large as it may be; nothing where absent or no number.
  [[nodiscard]] std::optional<double> real(std::string_view key) const;
  // Empty where absent or of another type.
  [[nodiscard]] std::string text(std::string_view key) const;
  [[nodiscard]] bool flag(std::string_view key, bool fallback = false) const;
  [[nodiscard]] const json::array* array(std::string_view key) const;
  // The keys of an object in here; nothing where absent or of another type.
  [[nodiscard]] std::optional<ConfigKeys> inside(std::string_view key) const;

  [[nodiscard]] const json::object& object() const { return *object_; }
  [[nodiscard]] std::string place(std::string_view key) const { return place_ + std::string(key); }

 private:
  const json::object* object_;
  std::string place_;
};

// A JSON number that is a whole one of 32 bits; empty otherwise.
std::optional<std::uint32_t> whole_number(const json::value& value);

// The keys that describe the language model of a config.json: nested ones where a vision or audio
// model has them (text_config, llm_config, language_config, thinker_config.text_config), else all.
ConfigKeys language_keys(const ConfigKeys& config);

// How much of a context a model was made for, by the rules that vLLM uses
// (vllm/config/model.py, _get_and_verify_max_len): rope scaling included, 2048 where nothing says.
// For pooling models the tokenizer's and the sentence encoder's own bounds count too; both may be
// null. Tokens.
Result<std::uint32_t> derived_context(const ConfigKeys& language, const ConfigKeys* tokenizer,
                                      const ConfigKeys* encoder);

}  // namespace berth::formats
