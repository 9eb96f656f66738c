// The files under engines/ that the build made part of this program.
#pragma once

#include <span>
#include <string_view>

namespace berth::engines {

struct EmbeddedFile {
  std::string_view path;  // "xllamacpp/pack.toml"
  std::string_view content;
};

// Sorted by path. Lives as long as the program.
std::span<const EmbeddedFile> embedded_files();

}  // namespace berth::engines
