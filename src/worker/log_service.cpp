#include "worker/log_service.h"

#include "base/files.h"
#include "worker/listener.h"
#include "worker/member_folder.h"

#include <charconv>
#include <filesystem>
#include <optional>
#include <sys/stat.h>

#include <fcntl.h>
#include <unistd.h>

namespace berth::worker {
namespace {

constexpr std::size_t kPiece = 64 << 10;
constexpr std::chrono::milliseconds kFollowPause{250};
constexpr Bytes kTailLimit = 16_MiB;

struct LogWish {
  std::optional<std::size_t> tail;
  std::optional<std::uint32_t> attempt;
  bool follow = false;
  bool previous = false;
};

template <class Number>
Result<std::optional<Number>> read_number(const net::Query& query, std::string_view name) {
  const auto text = query.get(name);
  if (!text) return std::optional<Number>();
  Number number = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), number);
  if (error != std::errc{} || end != text->data() + text->size()) {
    return fail(
        make_error(ErrorCode::invalid_parameter, "{} must be a whole number (got {})", name, *text)
            .with_field(std::string(name)));
  }
  return std::optional<Number>(number);
}

Result<LogWish> read_wish(const net::Query& query) {
  LogWish wish;
  BERTH_TRY(wish.tail, read_number<std::size_t>(query, "tail"));
  BERTH_TRY(wish.attempt, read_number<std::uint32_t>(query, "attempt"));
  wish.follow = query.get("follow") == "true";
  wish.previous = query.get("previous") == "true";
  return wish;
}

// A log that is being written, read from a place on. The file may be replaced when it grew too
// large; then reading goes on at the start of the new one. Blocks.
class LogReader {
 public:
  explicit LogReader(std::filesystem::path path) : path_(std::move(path)) {}
  ~LogReader() {
    if (fd_ >= 0) ::close(fd_);
  }
  LogReader(const LogReader&) = delete;
  LogReader& operator=(const LogReader&) = delete;

  void skip_to(off_t offset) { offset_ = offset; }

  // The next piece; empty where there is nothing new.
  Result<std::string> next() {
    if (fd_ < 0) fd_ = ::open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (fd_ < 0) return std::string();
    std::string piece(kPiece, '\0');
    const ssize_t n = ::pread(fd_, piece.data(), piece.size(), offset_);
    if (n < 0) return fail_errno(errno, "reading {}", path_.string());
    if (n == 0) {
      reopen_if_replaced();
      return std::string();
    }
    offset_ += n;
    piece.resize(static_cast<std::size_t>(n));
    return piece;
  }

 private:
  void reopen_if_replaced() {
    struct stat open_file{};
    struct stat named_file{};
    if (::fstat(fd_, &open_file) != 0 || ::stat(path_.c_str(), &named_file) != 0) return;
    if (open_file.st_ino == named_file.st_ino) return;
    ::close(fd_);
    fd_ = -1;
    offset_ = 0;
  }

  std::filesystem::path path_;
  int fd_ = -1;
  off_t offset_ = 0;
};

net::Task<> follow(LogService& service, net::Exchange& exchange, LogReader& reader, bool goes_on) {
  for (;;) {
    auto piece = co_await net::offload(service.pool, [&] { return reader.next(); });
    if (!piece) co_return;
    if (!piece->empty()) {
      if (auto sent = co_await exchange.write(*piece); !sent) co_return;
      continue;
    }
    if (!goes_on || exchange.gone()) break;
    co_await net::sleep_for(kFollowPause);
  }
  if (!exchange.gone()) co_await exchange.finish();
}

net::Task<> serve_log(LogService& service, net::Exchange& exchange) {
  if (auto allowed = check_key(exchange.request(), service.access_key); !allowed) {
    co_await exchange.respond(net::error_response(allowed.error()));
    co_return;
  }
  const auto wish = read_wish(exchange.request().query);
  if (!wish) {
    co_await exchange.respond(net::error_response(wish.error()));
    co_return;
  }
  const std::string name(exchange.param("name"));
  auto path = co_await net::offload(
      service.pool, [&] { return find_log(service.data, name, wish->attempt, wish->previous); });
  if (!path) {
    co_await exchange.respond(net::error_response(path.error()));
    co_return;
  }
  LogReader reader(*path);
  std::string tail;
  if (wish->tail) {
    std::error_code error;
    const auto size = std::filesystem::file_size(*path, error);
    const Bytes end{error ? 0 : size};
    if (*wish->tail > 0) tail = read_last_lines(*path, *wish->tail, kTailLimit, end);
    reader.skip_to(static_cast<off_t>(end.count));
  }
  auto sent = co_await exchange.start(200, {{"content-type", "text/plain; charset=utf-8"}});
  if (sent && !tail.empty()) sent = co_await exchange.write(tail);
  if (sent) co_await follow(service, exchange, reader, wish->follow);
}

}  // namespace

void add_log_routes(net::Router& router, LogService& service) {
  router.add("GET", "/health", serve_health);
  router.add("GET", "/worker/v1/instances/{name}/logs",
             [&service](net::Exchange& exchange) { return serve_log(service, exchange); });
}

}  // namespace berth::worker
