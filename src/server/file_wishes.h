// What people wish of the files on the workers: that they are there, that their download waits,
// that they go. All of it blocks.
#pragma once

#include "server/context.h"
#include "server/file_views.h"

#include <optional>
#include <string>
#include <vector>

namespace berth::server {

// What is on the workers, or on one of them. Of a worker that is away what it told last. Fails with
// not_found for a worker that is not known.
Result<std::vector<FileSet>> look_at_files(ServerContext& context,
                                           const std::optional<std::string>& worker);

// Where files are wanted: on one worker, or on all.
struct FileWish {
  std::string source;
  std::optional<std::string> worker;
  bool everywhere = false;
};
BOOST_DESCRIBE_STRUCT(FileWish, (), (source, worker, everywhere))
inline constexpr FieldInfo kFileWishFields[] = {
    {.name = "source",
     .text = "the model's name on a hub (hf:ORG/NAME:QUANT, ms:OWNER/NAME, ollama:NAME:TAG)",
     .required = true},
    {.name = "worker", .text = "where they are to be; the only worker where absent"},
    {.name = "everywhere", .text = "on every worker that is known now"},
};
constexpr std::span<const FieldInfo> field_table(const FileWish*) { return kFileWishFields; }

// Chooses the model's files on its hub, and notes that they are wanted on the workers, which then
// fetch and keep them. Fails as find_model_at; with invalid_parameter where it is not clear which
// worker is meant.
Result<std::vector<model::FileRequest>> want_files(ServerContext& context, const FileWish& wish);

// Stops the download of these files on the workers, or lets it go on. Gives the number of workers;
// fails with not_found where nothing of the kind is wanted, with conflict where nothing is left to
// download.
Result<std::size_t> pause_files(ServerContext& context, const std::string& source,
                                const std::optional<std::string>& worker, bool paused);

// Takes the wish back and removes the files, downloaded or not, from the workers. Fails with
// conflict while an instance needs them there, not_found where they are nowhere, and as a worker
// that can not remove them.
Result<Bytes> remove_files(ServerContext& context, const std::string& source,
                           const std::optional<std::string>& worker);

// What went, or would go.
struct Pruned {
  Bytes freed;
  std::vector<FileView> items;
  std::vector<std::string> errors;  // of what should have gone
};
BOOST_DESCRIBE_STRUCT(Pruned, (), (freed, items, errors))

Result<Pruned> prune_files(ServerContext& context, const PruneWish& wish);

}  // namespace berth::server
