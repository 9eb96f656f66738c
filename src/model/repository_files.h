// RepositoryFiles: the files of a repository on a hub that a model needs, at one commit: what must
// be on a machine before the model runs there.
#pragma once

#include "base/bytes.h"
#include "base/describe.h"

#include <string>
#include <vector>

namespace berth::model {

enum class Hub { hugging_face, model_scope, ollama };
BOOST_DESCRIBE_ENUM(Hub, hugging_face, model_scope, ollama)

enum class DigestKind {
  none,      // the hub says none
  sha256,    // of the content: LFS, ModelScope, registries
  git_blob,  // SHA-1 of git's object: "blob SIZE\0" and the content
};
BOOST_DESCRIBE_ENUM(DigestKind, none, sha256, git_blob)

// What the content of a file must be.
struct FileDigest {
  DigestKind kind = DigestKind::none;
  std::string hex;  // lower case

  friend bool operator==(const FileDigest&, const FileDigest&) = default;
};
BOOST_DESCRIBE_STRUCT(FileDigest, (), (kind, hex))

struct RepositoryFile {
  std::string path;  // in the repository: relative, of plain components
  Bytes size;
  FileDigest digest;

  friend bool operator==(const RepositoryFile&, const RepositoryFile&) = default;
};
BOOST_DESCRIBE_STRUCT(RepositoryFile, (), (path, size, digest))

struct RepositoryFiles {
  std::string source;  // as the user writes it: "hf:org/name:Q4_K_M@main"
  Hub hub = Hub::hugging_face;
  std::string repository;             // "org/name"
  std::string revision;               // that the user asked for; empty: the hub's default
  std::string commit;                 // that it was then; empty where the hub does not say
  std::vector<RepositoryFile> files;  // sorted by path, each once; the projector included
};
BOOST_DESCRIBE_STRUCT(RepositoryFiles, (), (source, hub, repository, revision, commit, files))

[[nodiscard]] inline Bytes total_size(const RepositoryFiles& of) {
  Bytes sum;
  for (const auto& file : of.files) sum += file.size;
  return sum;
}

}  // namespace berth::model
