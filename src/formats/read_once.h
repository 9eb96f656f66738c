// read_once: what each reader of a layout looks at for itself is fetched once for all of them.
#pragma once

#include "formats/file_set.h"

#include <memory>

namespace berth::formats {

// The same files, for one profile: each is opened once, and what was read of it is kept until the
// result goes, up to 128 files and 64 MiB; what is beyond is opened and read anew. Failures are not
// kept. `files` must outlive the result and its sources. Not thread-safe.
std::unique_ptr<FileSet> read_once(const FileSet& files);

}  // namespace berth::formats
