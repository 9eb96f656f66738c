#include "worker/shared_files.h"

#include "base/owned_fd.h"
#include "worker/in_time.h"
#include "worker/listener.h"

#include <algorithm>
#include <charconv>

#include <fcntl.h>

namespace berth::worker {
namespace {

using Files = SharedFiles::Files;

constexpr std::size_t kPiece = 512 << 10;
// So long a worker that needed files may go on to read them, unasked.
constexpr std::chrono::seconds kGrant{60};
constexpr std::size_t kMostGrants = 256;

Result<std::shared_ptr<const Files>> find_files(const ModelFiles& files,
                                                const sources::CachePlaces& places,
                                                const std::string& key) {
  const auto wanted = files.find(key);
  if (!wanted) return fail(ErrorCode::not_found, "this worker does not have these files");
  BERTH_TRY(const auto local, sources::find_cached(*wanted, places));
  if (!local) return fail(ErrorCode::not_found, "these files are on this worker no more");
  auto found = std::make_shared<Files>();
  for (const auto& file : wanted->files) found->emplace_back(local->paths.at(file.path), file.size);
  return found;
}

// The files that the request names, if who asks may read them. The proxy says who that is.
net::Task<Result<std::shared_ptr<const Files>>> admit(SharedFiles& service, net::Exchange& exchange,
                                                      bool is_peer) {
  const net::Request& request = exchange.request();
  BERTH_CO_CHECK(check_key(request, service.access_key));
  cluster::PeerWish wish{.files = std::string(exchange.param("key"))};
  if (is_peer) {
    wish.name = request.headers.get(cluster::kPeerNameHeader).value_or("");
    wish.serial = request.headers.get(cluster::kPeerSerialHeader).value_or("");
  }
  const std::string who =
      is_peer ? fmt::format("{} {} {}", wish.files, wish.serial, wish.name) : wish.files;
  const SteadyTime now = real_clock().steady_now();
  if (const auto known = service.grants.find(who);
      known != service.grants.end() && now < known->second.until) {
    co_return known->second.files;
  }
  if (is_peer) {
    auto allowed = co_await service.check(wish);
    if (!allowed) co_return fail(std::move(allowed).error());
  }
  auto found =
      co_await answer_in_time(service.pool, service.patience, "looking for shared files",
                              [&files = service.files, places = service.places, key = wish.files] {
                                return find_files(files, places, key);
                              });
  if (!found) co_return fail(std::move(found).error());
  std::erase_if(service.grants, [&](const auto& entry) { return entry.second.until <= now; });
  if (service.grants.size() < kMostGrants) {
    service.grants[who] = {.files = *found, .until = now + kGrant};
  }
  co_return *std::move(found);
}

// Of one file, bytes `first` to `last`, both included.
struct Part {
  std::uint64_t first = 0;
  std::uint64_t last = 0;
  bool is_range = false;
};

std::optional<std::uint64_t> number_of(std::string_view text) {
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return number;
}

// "bytes=0-99" or "bytes=100-"; any other range is answered with the whole (RFC 9110,
// section 14.2). Nothing where the file has no such bytes.
std::optional<Part> part_of(const net::Request& request, Bytes size) {
  const Part whole{.first = 0, .last = size.count - 1};
  std::string_view text = request.headers.get("range").value_or("");
  if (!text.starts_with("bytes=")) return whole;
  text.remove_prefix(text.find('=') + 1);
  const auto dash = std::min(text.find('-'), text.size());
  const auto first = number_of(text.substr(0, dash));
  const std::string_view end = text.substr(std::min(dash + 1, text.size()));
  const auto last = end.empty() ? whole.last : number_of(end);
  if (!first || !last || *last < *first) return whole;
  if (*first >= size.count) return std::nullopt;
  return Part{.first = *first, .last = std::min(*last, whole.last), .is_range = true};
}

using Opened = std::shared_ptr<const OwnedFd>;

Result<Opened> open_file(const std::filesystem::path& path, Bytes size) {
  auto fd = std::make_shared<OwnedFd>(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd->valid()) return fail_errno(errno, "opening {}", path.string());
  const off_t end = ::lseek(fd->get(), 0, SEEK_END);
  if (end < 0 || static_cast<std::uint64_t>(end) != size.count) {
    return fail(ErrorCode::conflict, "{} is another file by now", path.string());
  }
  return fd;
}

Result<std::string> read_piece(const OwnedFd& fd, std::uint64_t offset, std::size_t count) {
  std::string piece(count, '\0');
  std::size_t done = 0;
  while (done < count) {
    const ssize_t got =
        ::pread(fd.get(), piece.data() + done, count - done, static_cast<off_t>(offset + done));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return fail_errno(errno, "reading a shared file");
    if (got == 0) return fail(ErrorCode::io, "a shared file became shorter");
    done += static_cast<std::size_t>(got);
  }
  return piece;
}

// After the head of the answer there is no other way to tell of a failure than to break off.
net::Task<Result<void>> send_part(SharedFiles& service, net::Exchange& exchange, Opened file,
                                  Part part, Bytes size) {
  net::Headers headers{{"content-type", "application/octet-stream"}, {"accept-ranges", "bytes"}};
  headers.set("content-length", std::to_string(part.last + 1 - part.first));
  if (part.is_range) {
    headers.set("content-range", fmt::format("bytes {}-{}/{}", part.first, part.last, size.count));
  }
  auto sent = co_await exchange.start(part.is_range ? 206 : 200, std::move(headers));
  for (std::uint64_t at = part.first; sent && at <= part.last;) {
    const std::size_t count = std::min<std::uint64_t>(kPiece, part.last + 1 - at);
    auto piece =
        co_await answer_in_time(service.pool, service.patience, "reading a shared file",
                                [file, at, count] { return read_piece(*file, at, count); });
    if (!piece) co_return fail(std::move(piece).error());
    sent = co_await exchange.write(*piece);
    at += count;
  }
  if (!sent) co_return sent;
  co_return co_await exchange.finish();
}

net::Task<Result<void>> answer_file(SharedFiles& service, net::Exchange& exchange, bool is_peer) {
  auto admitted = co_await admit(service, exchange, is_peer);
  BERTH_CO_TRY(const auto files, std::move(admitted));
  const auto index = number_of(exchange.param("index"));
  if (!index || *index >= files->size()) {
    co_return fail(ErrorCode::not_found, "there are {} of these files", files->size());
  }
  const auto [path, size] = files->at(*index);
  if (size.count == 0) co_return co_await exchange.respond({});
  const auto part = part_of(exchange.request(), size);
  if (!part) {
    net::Response none{.status = 416};
    none.headers.set("content-range", fmt::format("bytes */{}", size.count));
    co_return co_await exchange.respond(std::move(none));
  }
  auto opened = co_await answer_in_time(service.pool, service.patience, "opening a shared file",
                                        [path, size] { return open_file(path, size); });
  BERTH_CO_TRY(auto file, std::move(opened));
  co_return co_await send_part(service, exchange, std::move(file), *part, size);
}

net::Task<Result<void>> answer_offer(SharedFiles& service, net::Exchange& exchange, bool is_peer) {
  auto admitted = co_await admit(service, exchange, is_peer);
  BERTH_CO_TRY(const auto files, std::move(admitted));
  co_return co_await exchange.respond(
      net::json_response(200, to_json(cluster::FilesOffer{.files = files->size()})));
}

net::Task<> respond(net::Exchange& exchange, net::Task<Result<void>> work) {
  const auto done = co_await std::move(work);
  if (done || exchange.responded() || exchange.gone()) co_return;
  co_await exchange.respond(net::error_response(done.error()));
}

net::Task<> serve_file(SharedFiles& service, net::Exchange& exchange, bool is_peer) {
  if (service.transfers >= SharedFiles::kMostTransfers) {
    co_await exchange.respond(net::error_response(
        make_error(ErrorCode::resource_exhausted,
                   "{} files are being read here; ask another worker", service.transfers)));
    co_return;
  }
  struct Slot {
    explicit Slot(std::size_t& taken) : count(taken) { ++count; }
    Slot(const Slot&) = delete;
    Slot& operator=(const Slot&) = delete;
    ~Slot() { --count; }
    std::size_t& count;
  };
  const Slot slot(service.transfers);
  co_await respond(exchange, answer_file(service, exchange, is_peer));
}

}  // namespace

void add_shared_file_routes(net::Router& router, SharedFiles& service) {
  for (const bool is_peer : {false, true}) {
    const std::string base = is_peer ? "/peer/v1/files/{key}" : "/worker/v1/shared/{key}";
    router.add("GET", base, [&service, is_peer](net::Exchange& exchange) {
      return respond(exchange, answer_offer(service, exchange, is_peer));
    });
    router.add("GET", base + "/{index}", [&service, is_peer](net::Exchange& exchange) {
      return serve_file(service, exchange, is_peer);
    });
  }
}

}  // namespace berth::worker
