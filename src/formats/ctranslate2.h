// CTranslate2: reads the head of a converted model's model.bin: which kind of model it is, and the
// little that its token embeddings tell. Format: CTranslate2,
// python/ctranslate2/specs/model_spec.py
// (_serialize), binary version 2 and later. Internal to formats.
#pragma once

#include "formats/byte_source.h"

#include <cstdint>
#include <optional>
#include <string>

namespace berth::formats {

struct CTranslate2Model {
  std::string specification;  // "WhisperSpec", "TransformerSpec"
  std::uint32_t revision = 0;
  // Of the decoder's token embeddings; zero and empty where they do not come early in the file.
  std::uint32_t vocabulary = 0;
  std::uint32_t embedding_length = 0;
  std::string weight_type;  // "F16", "INT8"
};

// Nothing where the source is no such model: a pickle, a pointer of Git LFS, an older version.
// Fails with corrupt where it is one and is cut off or contradicts itself, or with io.
Result<std::optional<CTranslate2Model>> read_ctranslate2(ByteSource& source);

}  // namespace berth::formats
