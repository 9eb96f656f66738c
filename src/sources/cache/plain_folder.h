// Folders with files under their names in the repository: as huggingface_hub and modelscope make
// them where they are given a local folder, and ModelScope's cache. Internal to sources/cache.
#pragma once

#include "sources/cache/layout.h"

namespace berth::sources {

// All files, where size and digest are known to be right: by what huggingface_hub wrote down of
// them (.cache/huggingface/download/PATH.metadata), or by what was read once.
std::optional<LocalFiles> find_in_folder(const PlainFolder& folder,
                                         const model::RepositoryFiles& files,
                                         const KnownDigests& known);

// As find_in_folder, and reads those files whose size is right. Fails as ContentCheck does.
Result<std::optional<LocalFiles>> check_folder(const PlainFolder& folder,
                                               const model::RepositoryFiles& files,
                                               ContentCheck& check);

// The files in it, sorted, without what tools keep beside them, with those digests that
// huggingface_hub wrote down.
std::vector<model::RepositoryFile> files_of_folder(const PlainFolder& folder);

// The commit that huggingface_hub wrote down, if it is the same for all files; else empty.
std::string commit_of_folder(const PlainFolder& folder);

// What is common to all: files, size and time. Nothing where the folder has no files.
std::optional<CachedRepository> describe_folder(const PlainFolder& folder, Hub hub,
                                                std::string repository);

// Of the other places: where this repository would be, and all that are there.
std::vector<PlainFolder> other_folders(Hub hub, const std::string& repository,
                                       const CachePlaces& places);
void add_other_repositories(const CachePlaces& places, std::vector<CachedRepository>& to);

}  // namespace berth::sources
