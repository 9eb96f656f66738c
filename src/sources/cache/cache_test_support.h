// A machine's caches in a folder, and a hub that serves files by their addresses. Included by
// *_test.cpp only.
#pragma once

#include "sources/cache/cache.h"
#include "sources/download/content_hash.h"
#include "sources/download/download_test_support.h"
#include "sources/hub/test_hub.h"

#include <algorithm>
#include <csignal>
#include <map>
#include <string>
#include <sys/file.h>
#include <sys/wait.h>
#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

namespace berth::sources::testing {

inline const std::string kOtherCommit(40, 'd');

using Contents = std::map<std::string, std::string>;  // by the path in the repository

inline HubDigest digest_of(DigestKind kind, std::string_view content) {
  auto hash = ContentHash::begin(kind, {content.size()}).value();
  hash.add(std::as_bytes(std::span(content)));
  return {kind, hash.finish()};
}

// As hubs have it: git's digest for the small texts of Hugging Face, SHA-256 for all else.
inline HubDigest digest_of(Hub hub, std::string_view path, std::string_view content) {
  const bool is_text = hub == Hub::hugging_face && path.ends_with(".json");
  return digest_of(is_text ? DigestKind::git_blob : DigestKind::sha256, content);
}

inline model::RepositoryFiles files_of(Hub hub, const Contents& contents,
                                       const std::string& commit = kCommit) {
  model::RepositoryFiles files{.source = "the source",
                               .hub = hub,
                               .repository = hub == Hub::ollama ? "library/m" : "org/na.me",
                               .revision = "",
                               .commit = commit,
                               .files = {}};
  for (const auto& [path, content] : contents) {
    files.files.push_back(
        {.path = path, .size = {content.size()}, .digest = digest_of(hub, path, content)});
  }
  return files;
}

// Holds an flock on a file in another process, as another program would.
class OtherProcessLock {
 public:
  explicit OtherProcessLock(const std::filesystem::path& path) {
    std::filesystem::create_directories(path.parent_path());
    int ready[2];
    if (::pipe(ready) != 0) throw std::runtime_error("no pipe");
    child_ = ::fork();
    if (child_ == 0) {
      const int fd = ::open(path.c_str(), O_RDWR | O_CREAT, 0664);
      const char answer = fd >= 0 && ::flock(fd, LOCK_EX) == 0 ? 'y' : 'n';
      if (::write(ready[1], &answer, 1) != 1) ::_exit(1);
      while (true) ::pause();
    }
    char answer = 0;
    const bool held = ::read(ready[0], &answer, 1) == 1 && answer == 'y';
    ::close(ready[0]);
    ::close(ready[1]);
    if (!held) throw std::runtime_error("no lock");
  }
  OtherProcessLock(const OtherProcessLock&) = delete;
  OtherProcessLock& operator=(const OtherProcessLock&) = delete;
  ~OtherProcessLock() { release(); }

  void release() {
    if (child_ <= 0) return;
    ::kill(child_, SIGKILL);
    ::waitpid(child_, nullptr, 0);
    child_ = -1;
  }

 private:
  pid_t child_ = -1;
};

class CacheTest : public DownloadTest {
 protected:
  CacheTest() {
    places_.hugging_face = folder_ / "hf" / "hub";
    places_.model_scope = folder_ / "ms";
    places_.ollama = folder_ / "ollama";
    places_.others = {folder_ / "other"};
    places_.other_ollama = {folder_ / "service"};
    places_.known_digests = folder_ / "known";
  }

  // A hub that has these files, whatever the commit.
  static Script hub_with(const Contents& contents) {
    return [contents](Peer& peer, const Seen& seen) {
      for (const auto& [path, content] : contents) {
        const bool is_it = seen.target.ends_with("/" + path) ||
                           seen.target.ends_with("FilePath=" + path) ||
                           seen.target.ends_with(sha256_hex(content));
        if (is_it) return serve(peer, seen, content);
      }
      peer.send(status_answer("404 Not Found"));
    };
  }

  [[nodiscard]] FetchOptions fetch_options() const { return {.download = quick()}; }
  Result<LocalFiles> fetch(const TestServer& server, const model::RepositoryFiles& files) const {
    return fetch_files(files, places_, settings_for(server), fetch_options());
  }
  [[nodiscard]] bool is_cached(const model::RepositoryFiles& files) const {
    const auto found = find_cached(files, places_);
    return found && found->has_value();
  }

  static void put(const std::filesystem::path& path, std::string_view content) {
    std::filesystem::create_directories(path.parent_path());
    ASSERT_TRUE(write_file_atomic(path, content));
  }
  static void link(const std::filesystem::path& path, const std::filesystem::path& target) {
    std::filesystem::create_directories(path.parent_path());
    std::filesystem::create_symlink(target, path);
  }
  // All files and links below a folder: "path" or "path -> target", sorted.
  static std::vector<std::string> tree(const std::filesystem::path& folder) {
    std::vector<std::string> lines;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
      const std::string path = entry.path().lexically_relative(folder);
      if (entry.is_symlink()) {
        lines.push_back(path + " -> " + std::filesystem::read_symlink(entry.path()).string());
      } else if (entry.is_regular_file()) {
        lines.push_back(path);
      }
    }
    std::ranges::sort(lines);
    return lines;
  }

  CachePlaces places_;
};

}  // namespace berth::sources::testing
