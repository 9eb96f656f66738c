// The projector types of llama.cpp (b11434 to b11549, tools/mtmd): their families, and how the
// width that they project to is read. A new type there is a line in a table here. Internal to
// formats.
#pragma once

#include <cstdint>
#include <string_view>

namespace berth::formats {

struct ProjectorType {
  std::string_view name;    // clip.projector_type
  std::string_view family;  // "Qwen2-VL"
  // How the architecture of its text models begins; empty where it goes with many.
  std::string_view architecture = "";
  // The tensor whose dimension `axis` (innermost 0) is the width; empty: clip.*.projection_dim.
  std::string_view tensor = "";
  std::uint32_t axis = 1;
  // Of images in their own size: the most tokens of one, and the patches of a side in a token,
  // where the file does not say. 0: images are brought to one size.
  std::uint32_t most_tokens = 0;
  std::uint32_t merge = 1;
  bool batches = false;       // several images of a request are computed at once
  bool whole_images = false;  // the text model does not read an image from left to right
};

// Null for a name that llama.cpp did not have then.
const ProjectorType* projector_type(std::string_view name);

}  // namespace berth::formats
