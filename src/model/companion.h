// Companions: files that go with a model and are none themselves. Described by `formats`.
#pragma once

#include "base/bytes.h"
#include "base/describe.h"

#include <cstdint>
#include <string>
#include <vector>

namespace berth::model {

// The encoder in a projector, as far as its memory depends on it; of several the one for images.
struct EncoderShape {
  std::uint32_t block_count = 0;
  std::uint32_t embedding_length = 0;
  std::uint32_t feed_forward_length = 0;
  std::uint32_t heads = 0;
  bool gated = false;     // the feed-forward part has a gate: two products of its length at once
  bool windowed = false;  // some layers attend through a mask
  std::uint32_t image_size = 0;  // pixels of a side; 0 for audio
  std::uint32_t patch_size = 0;  // pixels of a side
  std::uint32_t merge = 1;       // patches of a side that become one token
  // Of images in their own size: the most tokens that the engine makes of one unless it is told
  // otherwise. 0: images are brought to one size.
  std::uint32_t most_tokens = 0;
  std::uint64_t patches = 0;  // computed at once at most, without --image-max-tokens
};
BOOST_DESCRIBE_STRUCT(EncoderShape, (),
                      (block_count, embedding_length, feed_forward_length, heads, gated, windowed,
                       image_size, patch_size, merge, most_tokens, patches))

// A multimodal projector ("mmproj"): encoders that turn images or audio into embeddings of a text
// model, and what brings them to its width.
struct Projector {
  std::string path;  // absolute on a worker, or relative to the source
  Bytes size;
  std::string name;    // as the file calls itself
  std::string type;    // llama.cpp's: "gemma3", "qwen2.5vl_merger"
  std::string family;  // "Gemma 3"; empty for a type that Berth does not know
  bool vision = false;
  bool audio = false;
  std::string precision;                // the type of most of its bytes: "F16"
  std::vector<std::string> base_names;  // the models that it says it was made from or for
  std::uint32_t width = 0;              // elements that it puts out for a token; 0 = unknown
  std::uint32_t parts = 1;              // embeddings in them, one after another (deepstack)
  bool whole_images = false;  // all tokens of an image must be computed in one batch (not causal)
  EncoderShape encoder;
  bool usable = false;  // it can serve the model; a user may name it
  bool chosen = false;  // the engine gets it unless the user says otherwise
  std::string reason;   // why it is chosen, or is not
};
BOOST_DESCRIBE_STRUCT(Projector, (),
                      (path, size, name, type, family, vision, audio, precision, base_names, width,
                       parts, whole_images, encoder, usable, chosen, reason))

// What changes a model while it is served, such as a LoRA.
struct Adapter {
  std::string type;          // "lora"
  std::string architecture;  // of the models that it goes with
  double alpha = 0;          // its scale is alpha / rank
  std::uint32_t rank = 0;
  std::vector<std::string> base_names;
};
BOOST_DESCRIBE_STRUCT(Adapter, (), (type, architecture, alpha, rank, base_names))

}  // namespace berth::model
