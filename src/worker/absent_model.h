// AbsentModel: a model whose files are not on this machine, for who needs no more of them than
// their headers: these are fetched into files as long as the model's own, with holes for the
// tensors.
#pragma once

#include "cluster/protocol.h"
#include "sources/hub/settings.h"

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace berth::worker {

inline constexpr std::size_t kMostHeaders = 256;  // files of a model
inline constexpr Bytes kMostOfHeaders = 512_MiB;  // of all of them together

// Whether the model that is asked about is on a hub or at addresses.
bool is_absent(const cluster::JudgeRequest& request);

// Not thread-safe; blocks.
class AbsentModel {
 public:
  // Asks nobody yet. `folder` belongs to this model as long as it lives: what is in it is removed
  // now and at the end. All fetching ends by `settings.http.total` from now. Fails with
  // invalid_parameter for what is no file of a repository, too_large for too many of them,
  // unavailable where HF_HUB_OFFLINE is set, io.
  static Result<std::unique_ptr<AbsentModel>> open(cluster::JudgeRequest request,
                                                   sources::HubSettings settings,
                                                   std::filesystem::path folder);
  ~AbsentModel();
  AbsentModel(const AbsentModel&) = delete;
  AbsentModel& operator=(const AbsentModel&) = delete;

  // What was asked, as if the files were in the folder.
  [[nodiscard]] const cluster::JudgeRequest& request() const { return request_; }
  // Whether `path`, of a file, is below the folder.
  [[nodiscard]] bool contains(const std::filesystem::path& path) const;

  // What tells the content of the model's weights, and of the other files of its that `argv` names:
  // the digests that their hub lists. Fetches the headers where there are none, and is then as
  // `fetch`; fails with not_found where `argv` names a file that the model does not have.
  Result<std::vector<std::string>> contents(const std::vector<std::string>& argv);

  // Fetches what is not here yet of these files' headers, a few at a time. Fails as
  // sources::fetch_header, and with too_large.
  Result<void> fetch(const std::vector<std::string>& argv);

 private:
  struct File {
    std::string path;  // below the folder
    std::string address;
    std::optional<Bytes> size;  // where it is known
    std::string content;        // what tells it; empty: unknown yet
    bool is_here = false;
  };

  AbsentModel(cluster::JudgeRequest request, std::filesystem::path folder);

  Result<void> take_repository(const sources::HubSettings& settings);
  void take_addresses();
  Result<std::vector<File*>> needed_by(const std::vector<std::string>& argv);
  Result<void> fetch_files(const std::vector<File*>& files);
  Result<void> fetch_one(File& file);

  cluster::JudgeRequest request_;
  sources::HttpOptions http_;
  std::filesystem::path folder_;
  std::vector<File> files_;
  std::atomic<std::uint64_t> fetched_ = 0;  // bytes of headers
};

}  // namespace berth::worker
