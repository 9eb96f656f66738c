// The part of a GGUF file that says what the file is: all before the data of its tensors.
#pragma once

#include "base/bytes.h"
#include "formats/byte_source.h"

#include <cstddef>
#include <string_view>
#include <vector>

namespace berth::formats {

// The first bytes of the file, up to its tensors' data: what an engine reads that loads none.
// Memory is that of the header; the source is read in order, each byte once, and little further
// than the header's end. Fails as read_gguf, and with too_large where `most` is not enough.
Result<std::vector<std::byte>> read_header(ByteSource& source, std::string_view name, Bytes most);

}  // namespace berth::formats
