// ModelProfile: what a model's files say it is. Filled by `formats`, read by everything that
// decides.
#pragma once

#include "base/describe.h"
#include "model/companion.h"
#include "model/deployment.h"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace berth::model {

// How weights are stored: `pytorch` is pickled (.bin, .pt), `ctranslate2` a model.bin of its own.
enum class FileFormat { gguf, safetensors, pytorch, ctranslate2, other };
BOOST_DESCRIBE_ENUM(FileFormat, gguf, safetensors, pytorch, ctranslate2, other)

// What a model takes in and puts out.
enum class Modality { text, image, audio, video };
BOOST_DESCRIBE_ENUM(Modality, text, image, audio, video)

// One file of a model.
struct ModelFile {
  std::string path;  // absolute on a worker, or relative to the source
  Bytes size;
};
BOOST_DESCRIBE_STRUCT(ModelFile, (), (path, size))

// A part of a model that an engine loads as a whole: "text_encoder", "transformer", "vae".
struct ModelPart {
  std::string name;
  std::vector<ModelFile> files;
  Bytes size;  // of its weights
};
BOOST_DESCRIBE_STRUCT(ModelPart, (), (name, files, size))

// Bytes of weights, by where an engine can put them.
struct WeightSizes {
  Bytes input;                // token embeddings; stay on the host
  std::vector<Bytes> layers;  // repeating blocks, in order
  Bytes output;               // output head and final norm; a tied head is not counted here
  bool tied_output = false;   // no head of its own: the engine uses the token embeddings
  Bytes tied_head;            // their size (part of `input`), which a device gets as a copy
  Bytes encoders;             // vision and audio towers with their projectors
  Bytes key_value;            // of the above: projections to keys and values, which ranks beyond
                              // the number of KV heads hold as copies
  // Of all the above, what each rank of a tensor-parallel group holds whole: norms, routers,
  // down-projections of latent attention.
  Bytes replicated;
};
BOOST_DESCRIBE_STRUCT(WeightSizes, (),
                      (input, layers, output, tied_output, tied_head, encoders, key_value,
                       replicated))

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
  // Multi-head latent attention: a layer keeps `key_length` elements a token for all its heads
  // together, and no values.
  bool latent = false;
};
BOOST_DESCRIBE_STRUCT(AttentionShape, (),
                      (heads, kv_heads, key_length, value_length, sliding_window, windowed,
                       windowed_key_length, windowed_value_length, latent))

// State that recurrent layers keep for each sequence, whatever its length.
struct RecurrentShape {
  std::vector<bool> layers;          // a layer each; empty where there are none
  std::uint64_t state_elements = 0;  // 32-bit floats a layer and sequence
};
BOOST_DESCRIBE_STRUCT(RecurrentShape, (), (layers, state_elements))

struct ModelProfile {
  FileFormat format = FileFormat::other;
  std::string name;  // as the file calls itself
  // "gemma3", "clip" (GGUF); "LlamaForCausalLM" (Hugging Face); "FluxPipeline" (diffusers);
  // "faster-whisper", "cosyvoice", "cosyvoice2", "dia", "bark", "funasr" (audio).
  std::string architecture;
  std::string model_type;  // config.json's own: "llama"; else empty
  Category category = Category::llm;
  std::string quantization;  // "Q4_K_M"
  std::string licence;
  std::uint64_t parameters = 0;      // weights, counted from the tensor table
  std::uint32_t context_length = 0;  // tokens that the model was trained for; 0 = unknown
  std::uint32_t layer_count = 0;
  std::uint32_t embedding_length = 0;
  // Embeddings that a token of an image brings, one after another (deepstack): llama.cpp's input
  // is embedding_length times this. 0: the file does not say how many.
  std::uint32_t embedding_parts = 1;
  std::uint32_t feed_forward_length = 0;
  std::uint32_t vocabulary = 0;    // tokens
  std::uint32_t experts = 0;       // 0 = dense
  std::uint32_t experts_used = 0;  // for each token
  std::vector<Modality> inputs;
  std::vector<Modality> outputs;
  std::string weight_type;      // of most weights where they are not quantised: "BF16"
  bool needs_own_code = false;  // Python code that comes with the model (trust_remote_code)
  AttentionShape attention;
  RecurrentShape recurrent;
  // Why the size of its caches can not be computed: half a sentence. Empty where it can.
  std::string unknown_cache;
  WeightSizes weights;
  bool has_chat_template = false;
  std::string pooling;           // embedding models: "mean", "cls", "last", "rank"; else empty
  std::vector<ModelFile> files;  // all weights, the one to open first
  std::vector<ModelPart> parts;  // of a model made of several; else empty
  Bytes total_size;
  std::vector<std::string> base_names;  // the models that it says it is, or was made from
  // Those that lie with the model, the preferred one first; a projector's own profile has itself.
  std::vector<Projector> projectors;
  std::optional<Adapter> adapter;  // the file is one
};
BOOST_DESCRIBE_STRUCT(ModelProfile, (),
                      (format, name, architecture, model_type, category, quantization, licence,
                       parameters, context_length, layer_count, embedding_length, embedding_parts,
                       feed_forward_length, vocabulary, experts, experts_used, inputs, outputs,
                       weight_type, needs_own_code, attention, recurrent, unknown_cache, weights,
                       has_chat_template, pooling, files, parts, total_size, base_names, projectors,
                       adapter))
inline constexpr FieldInfo kProfileFields[] = {
    {.name = "parameters", .text = "weights in the model"},
    {.name = "context_length", .text = "what the model was trained for", .unit = "tokens"},
    {.name = "total_size", .text = "all files together", .unit = "bytes"},
};
constexpr std::span<const FieldInfo> field_table(const ModelProfile*) { return kProfileFields; }

// The profile with what `rename` gives for the path of each of its files.
ModelProfile renamed(ModelProfile profile,
                     const std::function<std::string(const std::string&)>& rename);

}  // namespace berth::model
