// ModelProfile: what a model's files say it is. Filled by `formats`, read by everything that
// decides.
#pragma once

#include "base/describe.h"
#include "model/deployment.h"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace berth::model {

enum class FileFormat { gguf, safetensors, other };
BOOST_DESCRIBE_ENUM(FileFormat, gguf, safetensors, other)

// One file of a model.
struct ModelFile {
  std::string path;  // absolute on a worker, or relative to the source
  Bytes size;
};
BOOST_DESCRIBE_STRUCT(ModelFile, (), (path, size))

// Bytes of weights, by where an engine can put them.
struct WeightSizes {
  Bytes input;                // token embeddings; stay on the host
  std::vector<Bytes> layers;  // repeating blocks, in order
  Bytes output;               // output head and final norm; a tied head is not counted here
  bool tied_output = false;   // no head of its own: the engine uses the token embeddings
  Bytes tied_head;            // their size (part of `input`), which a device gets as a copy
};
BOOST_DESCRIBE_STRUCT(WeightSizes, (), (input, layers, output, tied_output, tied_head))

// Attention as far as the KV cache depends on it.
struct AttentionShape {
  std::uint32_t heads = 0;
  std::vector<std::uint32_t> kv_heads;  // a layer each; 0 where the layer keeps no KV (recurrent)
  std::uint32_t key_length = 0;         // elements a head
  std::uint32_t value_length = 0;
  std::uint32_t sliding_window = 0;  // tokens; 0 = full attention everywhere
  std::vector<bool> windowed;        // a layer each; empty where sliding_window is 0
  // The same lengths in windowed layers, where they differ there; else 0.
  std::uint32_t windowed_key_length = 0;
  std::uint32_t windowed_value_length = 0;
};
BOOST_DESCRIBE_STRUCT(AttentionShape, (),
                      (heads, kv_heads, key_length, value_length, sliding_window, windowed,
                       windowed_key_length, windowed_value_length))

// State that recurrent layers keep for each sequence, whatever its length.
struct RecurrentShape {
  std::vector<bool> layers;          // a layer each; empty where there are none
  std::uint64_t state_elements = 0;  // 32-bit floats a layer and sequence
};
BOOST_DESCRIBE_STRUCT(RecurrentShape, (), (layers, state_elements))

struct ModelProfile {
  FileFormat format = FileFormat::other;
  std::string name;          // as the file calls itself
  std::string architecture;  // "gemma3", "llama", "clip" …
  Category category = Category::llm;
  std::string quantization;  // "Q4_K_M"
  std::string licence;
  std::uint64_t parameters = 0;      // weights, counted from the tensor table
  std::uint32_t context_length = 0;  // tokens that the model was trained for; 0 = unknown
  std::uint32_t layer_count = 0;
  std::uint32_t embedding_length = 0;
  std::uint32_t feed_forward_length = 0;
  std::uint32_t vocabulary = 0;  // tokens
  std::uint32_t experts = 0;     // 0 = dense
  AttentionShape attention;
  RecurrentShape recurrent;
  WeightSizes weights;
  bool has_chat_template = false;
  std::string pooling;           // embedding models: "mean", "cls", "last", "rank"; else empty
  std::vector<ModelFile> files;  // all parts, the one to open first
  Bytes total_size;
};
BOOST_DESCRIBE_STRUCT(ModelProfile, (),
                      (format, name, architecture, category, quantization, licence, parameters,
                       context_length, layer_count, embedding_length, feed_forward_length,
                       vocabulary, experts, attention, recurrent, weights, has_chat_template,
                       pooling, files, total_size))
inline constexpr FieldInfo kProfileFields[] = {
    {.name = "parameters", .text = "weights in the model"},
    {.name = "context_length", .text = "what the model was trained for", .unit = "tokens"},
    {.name = "total_size", .text = "all files together", .unit = "bytes"},
};
constexpr std::span<const FieldInfo> field_table(const ModelProfile*) { return kProfileFields; }

}  // namespace berth::model
