#include "worker/identity.h"

#include "base/files.h"
#include "base/ids.h"

#include <algorithm>
#include <array>
#include <cctype>

#include <unistd.h>

namespace berth::worker {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kLongestName = 63;

// A name that can stand in paths, certificates, labels and "worker:device".
std::string plain_name(std::string_view host) {
  std::string name;
  for (const char c : host) {
    const bool plain = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '.';
    name += plain ? static_cast<char>(std::tolower(static_cast<unsigned char>(c))) : '-';
  }
  name.erase(0, std::min(name.find_first_not_of('.'), name.size()));
  name.resize(std::min(name.size(), kLongestName));
  return name.empty() ? "worker" : name;
}

std::string host_name() {
  std::array<char, 256> name{};
  if (::gethostname(name.data(), name.size() - 1) != 0) return "worker";
  return plain_name(name.data());
}

// The text of a small file; `make`'s result is written where it is not there.
template <class Make>
Result<std::string> read_or_make(const fs::path& path, Make make) {
  auto text = read_word(path);
  if (text) {
    if (!text->empty()) return text;
  } else if (text.error().code != ErrorCode::not_found) {
    return text;
  }
  const std::string made = make();
  BERTH_CHECK(write_file_atomic(path, made + "\n", 0600));
  return made;
}

// Our own copy of the shim, named by its content.
Result<fs::path> keep_shim(const DataFolder& data, const fs::path& program) {
  BERTH_TRY(const std::string content, read_file(program, 64_MiB));
  const fs::path folder = data.worker() / "bin";
  std::error_code error;
  fs::create_directories(folder, error);
  if (error) return fail(ErrorCode::io, "making {}: {}", folder.string(), error.message());
  const fs::path copy = folder / ("berth-shim-" + sha256_hex(content).substr(0, 16));
  if (!fs::exists(copy, error)) BERTH_CHECK(write_file_atomic(copy, content, 0700));
  return copy;
}

}  // namespace

Result<Identity> make_identity(const AgentOptions& options) {
  std::error_code error;
  fs::create_directories(options.data.instances(), error);
  if (error) {
    return fail(ErrorCode::io, "making {}: {}", options.data.instances().string(), error.message());
  }
  Identity identity;
  BERTH_TRY(identity.name, read_or_make(options.data.worker_name(), [&] {
              return options.name.empty() ? host_name() : plain_name(options.name);
            }));
  BERTH_TRY(identity.tag,
            read_or_make(options.data.worker() / "tag", [] { return random_id(16); }));
  BERTH_TRY(identity.shim, keep_shim(options.data, options.shim_program));
  return identity;
}

}  // namespace berth::worker
