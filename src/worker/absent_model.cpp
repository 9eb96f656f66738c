#include "worker/absent_model.h"

#include "sources/header_file.h"
#include "sources/hub/client.h"
#include "sources/hub/files.h"

#include <algorithm>
#include <mutex>
#include <thread>
#include <utility>

namespace berth::worker {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kConnections = 4;
// The first part of a split model has the vocabulary, the others have little.
constexpr Bytes kSmallBlock = 256_KiB;

std::string content_of(const model::RepositoryFile& file) {
  if (file.digest.kind == model::DigestKind::none) return "";
  return fmt::format("{} {} {}", enum_name(file.digest.kind), file.digest.hex, file.size.count);
}

// Nothing of a file's name at an address is needed: engines know parts by names of this form.
std::string part_name(std::size_t number, std::size_t count) {
  if (count == 1) return "model.gguf";
  return fmt::format("model-{:05}-of-{:05}.gguf", number, count);
}

}  // namespace

bool is_absent(const cluster::JudgeRequest& request) {
  const auto& files = request.profile.files;
  return request.files.has_value() || (!files.empty() && sources::is_address(files.front().path));
}

AbsentModel::AbsentModel(cluster::JudgeRequest request, fs::path folder)
    : request_(std::move(request)), folder_(std::move(folder)) {}

AbsentModel::~AbsentModel() {
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

Result<std::unique_ptr<AbsentModel>> AbsentModel::open(cluster::JudgeRequest request,
                                                       sources::HubSettings settings,
                                                       fs::path folder) {
  settings = sources::with_end(std::move(settings));
  // NOLINTNEXTLINE(cppcoreguidelines-owning-memory): the constructor is private
  std::unique_ptr<AbsentModel> model(new AbsentModel(std::move(request), std::move(folder)));
  if (model->request_.files) {
    BERTH_CHECK(model->take_repository(settings));
  } else {
    model->http_ = settings.http;
    model->take_addresses();
  }
  std::error_code error;
  fs::remove_all(model->folder_, error);
  if (error) {
    return fail(ErrorCode::io, "{} can not be emptied: {}", model->folder_.string(),
                error.message());
  }
  model->request_.deployment.source = model->folder_.string();
  return model;
}

Result<void> AbsentModel::take_repository(const sources::HubSettings& settings) {
  const auto& repository = *request_.files;
  BERTH_TRY(const auto name, sources::parse_hub_name(repository.source));
  if (name.hub != repository.hub || name.repository != repository.repository) {
    return fail(ErrorCode::invalid_parameter, "{} is no name of the repository {}",
                repository.source, sources::quoted(repository.repository));
  }
  if (settings.offline) {
    return fail(ErrorCode::unavailable,
                "{} is not asked about {}, because HF_HUB_OFFLINE is set for this worker",
                sources::title_of(name.hub), repository.source);
  }
  http_ = sources::http_options_for(sources::hub_name_of(repository), settings);
  files_.reserve(repository.files.size());
  for (const auto& file : repository.files) {
    auto address = sources::url_of(repository, file, settings);
    if (!sources::is_repository_path(file.path)) {
      return fail(ErrorCode::invalid_parameter, "{}: \"{}\" is no file of a repository",
                  repository.source, sources::quoted(file.path));
    }
    files_.push_back({.path = file.path,
                      .address = std::move(address),
                      .size = file.size,
                      .content = content_of(file)});
  }
  return {};
}

void AbsentModel::take_addresses() {
  auto& files = request_.profile.files;
  files_.reserve(files.size());
  for (auto& file : files) {
    auto name = part_name(files_.size() + 1, files.size());
    files_.push_back({.path = name, .address = std::move(file.path), .size = file.size});
    file.path = std::move(name);
  }
}

bool AbsentModel::contains(const fs::path& path) const {
  return path.string().starts_with(folder_.string() + "/");
}

Result<std::vector<AbsentModel::File*>> AbsentModel::needed_by(
    const std::vector<std::string>& argv) {
  std::vector<std::string> paths;
  paths.reserve(request_.profile.files.size());
  for (const auto& file : request_.profile.files) paths.push_back(file.path);
  for (const auto& word : argv) {
    if (contains(word)) paths.push_back(word.substr(folder_.string().size() + 1));
  }
  std::ranges::sort(paths);
  paths.erase(std::ranges::unique(paths).begin(), paths.end());
  std::vector<File*> needed;
  needed.reserve(paths.size());
  for (const auto& path : paths) {
    const auto file = std::ranges::find(files_, path, &File::path);
    if (file == files_.end()) {
      return fail(ErrorCode::not_found, "{} is no file of the model", sources::quoted(path));
    }
    needed.push_back(&*file);
  }
  if (needed.size() > kMostHeaders) {
    return fail(ErrorCode::too_large, "the model has {} files, and headers of up to {} are fetched",
                needed.size(), kMostHeaders);
  }
  return needed;
}

Result<std::vector<std::string>> AbsentModel::contents(const std::vector<std::string>& argv) {
  BERTH_TRY(const auto needed, needed_by(argv));
  if (std::ranges::any_of(needed, [](const File* file) { return file->content.empty(); })) {
    BERTH_CHECK(fetch_files(needed));
  }
  std::vector<std::string> contents;
  contents.reserve(needed.size());
  for (const File* file : needed) contents.push_back(file->content);
  return contents;
}

Result<void> AbsentModel::fetch(const std::vector<std::string>& argv) {
  BERTH_TRY(const auto needed, needed_by(argv));
  return fetch_files(needed);
}

Result<void> AbsentModel::fetch_files(const std::vector<File*>& files) {
  std::mutex mutex;
  std::size_t next = 0;
  Result<void> result;
  const auto take_next = [&]() -> File* {
    const std::lock_guard lock(mutex);
    while (result && next < files.size()) {
      if (File* file = files[next++]; !file->is_here) return file;
    }
    return nullptr;
  };
  const auto work = [&] {
    while (File* file = take_next()) {
      auto fetched = fetch_one(*file);
      const std::lock_guard lock(mutex);
      if (!fetched && result) result = std::move(fetched);
    }
  };
  {
    std::vector<std::jthread> others;
    for (std::size_t i = 1; i < std::min(kConnections, files.size()); ++i)
      others.emplace_back(work);
    work();
  }
  return result;
}

Result<void> AbsentModel::fetch_one(File& file) {
  const auto place = folder_ / file.path;
  std::error_code error;
  fs::create_directories(place.parent_path(), error);
  sources::HeaderOptions options{.range = {.http = http_}, .size = file.size};
  if (file.path != request_.profile.files.front().path) options.range.first_block = kSmallBlock;
  BERTH_TRY(const auto header, sources::fetch_header(file.address, place, options));
  if (fetched_.fetch_add(header.header.count) + header.header.count > kMostOfHeaders.count) {
    return fail(ErrorCode::too_large, "the headers of the model's files are more than {}",
                kMostOfHeaders);
  }
  if (file.content.empty()) {
    file.content = fmt::format("header {} {}", header.sha256, header.size.count);
  }
  file.is_here = true;
  return {};
}

}  // namespace berth::worker
