// A folder, a server that serves one file well, and what its download is asked for. Included by
// *_test.cpp only.
#pragma once

#include "base/files.h"
#include "base/ids.h"
#include "sources/download/download.h"
#include "sources/download/part_file.h"
#include "sources/test_server.h"

#include <atomic>
#include <filesystem>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include <gmock/gmock.h>
#include <unistd.h>

namespace berth::sources::testing {

inline constexpr Bytes kChunk = 64_KiB;

// Different bytes everywhere, so that a chunk in the wrong place shows.
inline std::string file_of(std::size_t size, unsigned seed = 1) {
  std::string bytes(size, '\0');
  std::uint32_t state = seed;
  for (char& c : bytes) {
    state = state * 1664525U + 1013904223U;
    c = static_cast<char>(state >> 24);
  }
  return bytes;
}

inline std::string whole_answer(std::string_view file, std::string_view fields = "") {
  return status_answer("200 OK", fields, file);
}

// What a good server does.
inline void serve(Peer& peer, const Seen& request, std::string_view file,
                  std::string_view fields = "ETag: \"1\"\r\n") {
  peer.send(request.field("range").empty() ? whole_answer(file, fields)
                                           : part_answer(request, file, fields));
}

class DownloadTest : public ::testing::Test {
 protected:
  DownloadTest()
      : folder_(std::filesystem::temp_directory_path() /
                fmt::format("berth-download-{}-{}", ::getpid(), random_id())) {
    std::filesystem::create_directories(folder_);
  }
  ~DownloadTest() override {
    std::error_code error;
    std::filesystem::remove_all(folder_, error);
  }

  [[nodiscard]] DownloadRequest request_of(const TestServer& server, std::string_view file) const {
    return {.address = *parse_address(server.url("/m?key=secret")),
            .path = folder_ / "model",
            .size = {file.size()},
            .digest = {.kind = DigestKind::sha256, .hex = sha256_hex(file)}};
  }
  [[nodiscard]] DownloadOptions quick() const {
    DownloadOptions options;
    options.chunk = kChunk;
    options.http.retries.first_pause = std::chrono::milliseconds(2);
    options.progress_interval = std::chrono::milliseconds(5);
    options.space = roomy_;
    return options;
  }
  [[nodiscard]] std::string text() const { return text_of(folder_ / "model"); }
  static std::string text_of(const std::filesystem::path& path) {
    return read_file(path).value_or("no file");
  }
  [[nodiscard]] bool has(const std::string& name) const {
    return std::filesystem::exists(folder_ / name);
  }

  std::filesystem::path folder_;
  std::shared_ptr<SpaceLedger> roomy_ =
      std::make_shared<SpaceLedger>([](const std::filesystem::path&) {
        return std::filesystem::space_info{
            .capacity = 1ULL << 40, .free = 1ULL << 39, .available = 1ULL << 39};
      });
};

}  // namespace berth::sources::testing
