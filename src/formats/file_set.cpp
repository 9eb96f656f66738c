#include "formats/file_set.h"

#include "formats/cursor.h"

#include <algorithm>
#include <array>

namespace berth::formats {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxEntries = 10'000;
constexpr int kDepth = 2;

class Folder final : public FileSet {
 public:
  Folder(fs::path folder, std::vector<FileEntry> files)
      : folder_(std::move(folder)), name_(folder_.native()), files_(std::move(files)) {}

  [[nodiscard]] std::string_view name() const override { return name_; }
  [[nodiscard]] const std::vector<FileEntry>& files() const override { return files_; }
  [[nodiscard]] Result<std::unique_ptr<ByteSource>> open(std::string_view path) const override {
    return open_file(folder_ / path);
  }
  [[nodiscard]] std::string locate(std::string_view path) const override {
    return (folder_ / path).native();
  }

 private:
  fs::path folder_;
  std::string name_;
  std::vector<FileEntry> files_;
};

class Memory final : public FileSet {
 public:
  explicit Memory(std::map<std::string, std::string> contents) : contents_(std::move(contents)) {
    for (const auto& [path, text] : contents_) files_.push_back({path, {text.size()}});
  }

  [[nodiscard]] std::string_view name() const override { return "memory"; }
  [[nodiscard]] const std::vector<FileEntry>& files() const override { return files_; }
  [[nodiscard]] Result<std::unique_ptr<ByteSource>> open(std::string_view path) const override {
    const auto found = contents_.find(std::string(path));
    if (found == contents_.end()) return fail(ErrorCode::not_found, "there is no {}", path);
    const auto bytes = std::as_bytes(std::span(found->second));
    return std::make_unique<MemorySource>(std::vector<std::byte>(bytes.begin(), bytes.end()));
  }
  [[nodiscard]] std::string locate(std::string_view path) const override {
    return "/memory/" + std::string(path);
  }

 private:
  std::map<std::string, std::string> contents_;
  std::vector<FileEntry> files_;
};

Error listing_error(const fs::path& folder, const std::error_code& error) {
  if (error == std::errc::permission_denied) {
    return make_error(ErrorCode::permission_denied, "{} may not be read by this user",
                      folder.native());
  }
  if (error == std::errc::no_such_file_or_directory) {
    return make_error(ErrorCode::not_found, "there is no {}", folder.native());
  }
  return errno_error(error.value(), "listing " + folder.native());
}

struct Listing {
  std::vector<FileEntry> files;
  std::size_t seen = 0;
};

Result<void> list_into(Listing& listing, const fs::path& folder, const std::string& prefix,
                       int depth) {
  std::error_code error;
  fs::directory_iterator entries(folder, error);
  for (; !error && entries != fs::directory_iterator(); entries.increment(error)) {
    const std::string name = entries->path().filename().native();
    if (name.starts_with('.')) continue;
    if (++listing.seen > kMaxEntries) {
      return fail(ErrorCode::invalid_parameter,
                  "{} holds more than {} entries; name the model's file or its own folder",
                  folder.native(), kMaxEntries);
    }
    std::error_code ignored;
    const fs::file_status status = entries->status(ignored);
    if (fs::is_regular_file(status)) {
      const std::uintmax_t size = entries->file_size(ignored);
      if (!ignored) listing.files.push_back({prefix + name, {size}});
    } else if (fs::is_directory(status) && depth < kDepth) {
      // A folder inside that may not be read is none of ours.
      auto inside = list_into(listing, entries->path(), prefix + name + "/", depth + 1);
      if (!inside && inside.error().code == ErrorCode::invalid_parameter) return inside;
    }
  }
  if (error) return fail(listing_error(folder, error));
  return {};
}

// Replaces the words NaN, Infinity and -Infinity outside of strings.
std::string without_python_numbers(std::string_view text) {
  constexpr std::array<std::string_view, 3> kWords = {"-Infinity", "Infinity", "NaN"};
  std::string out;
  out.reserve(text.size());
  bool in_string = false;
  for (std::size_t i = 0; i < text.size();) {
    const char c = text[i];
    if (!in_string) {
      const auto* word = std::ranges::find_if(
          kWords, [&](std::string_view one) { return text.substr(i).starts_with(one); });
      if (word != kWords.end()) {
        out += "null";
        i += word->size();
        continue;
      }
    }
    if (in_string && c == '\\' && i + 1 < text.size()) {
      out += c;
      out += text[i + 1];
      i += 2;
      continue;
    }
    if (c == '"') in_string = !in_string;
    out += c;
    ++i;
  }
  return out;
}

}  // namespace

const FileEntry* FileSet::find(std::string_view path) const {
  const auto& all = files();
  const auto found = std::ranges::lower_bound(all, path, {}, &FileEntry::path);
  return found != all.end() && found->path == path ? &*found : nullptr;
}

Result<std::unique_ptr<FileSet>> list_folder(const fs::path& folder) {
  Listing listing;
  BERTH_CHECK(list_into(listing, folder, "", 0));
  std::ranges::sort(listing.files, {}, &FileEntry::path);
  return std::make_unique<Folder>(folder, std::move(listing.files));
}

std::unique_ptr<FileSet> unlisted_folder(const fs::path& folder) {
  return std::make_unique<Folder>(folder, std::vector<FileEntry>{});
}

std::unique_ptr<FileSet> files_in_memory(std::map<std::string, std::string> files) {
  return std::make_unique<Memory>(std::move(files));
}

Result<std::string> read_text(const FileSet& files, std::string_view path, Bytes limit) {
  BERTH_TRY(const auto source, files.open(path));
  if (source->size() > limit.count) {
    return fail(ErrorCode::too_large,
                "{}: its {} are more than the {} that are read of such a file", files.locate(path),
                Bytes{source->size()}, limit);
  }
  BERTH_TRY(const auto bytes, source->read(0, source->size()));
  return std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size());
}

Result<json::object> read_json(const FileSet& files, std::string_view path, Bytes limit) {
  BERTH_TRY(const std::string text, read_text(files, path, limit));
  auto value = parse_json(text);
  if (!value) value = parse_json(without_python_numbers(text));
  if (!value) {
    return fail(ErrorCode::corrupt, "{}: {}", files.locate(path), value.error().message);
  }
  if (!value->is_object()) {
    return fail(ErrorCode::corrupt, "{}: it is no JSON object", files.locate(path));
  }
  return std::move(value->get_object());
}

}  // namespace berth::formats
