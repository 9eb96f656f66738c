// The header of a GGUF file at an address, as a file of this machine for whoever reads no tensors.
#pragma once

#include "sources/range_reader.h"

#include <filesystem>
#include <optional>
#include <string>

namespace berth::sources {

struct HeaderOptions {
  RangeOptions range;
  Bytes most = 64_MiB;        // of the header
  std::optional<Bytes> size;  // that the whole file must have
};

struct HeaderFile {
  Bytes size;          // of the whole file
  Bytes header;        // what was fetched and written of it
  std::string sha256;  // of the header
};

// Makes the new file `to`, as long as the one at `url`, with that one's header and a hole behind
// it. Its folder must be there. Blocks; thread-safe. Leaves nothing where it fails: as open_url and
// formats::read_header, with corrupt for another size, with io.
Result<HeaderFile> fetch_header(const std::string& url, const std::filesystem::path& to,
                                const HeaderOptions& options);

}  // namespace berth::sources
