#include "sources/curl.h"

#include "sources/libcurl.h"
#include "sources/rate_limit.h"
#include "sources/web_settings.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdlib>
#include <optional>

namespace berth::sources {
namespace {

constexpr std::size_t kLongestHead = 64 << 10;
constexpr long kBuffer = 64 << 10;  // a sink gets at most this at once
constexpr std::size_t kLongestQuote = 200;
// Of a body that nobody wants, this much is read so that the connection can be used again.
constexpr std::size_t kLongestDropped = 64 << 10;

using FieldList = std::unique_ptr<curl_slist, decltype(&curl_slist_free_all)>;

// A handle, and the functions for it.
struct Easy {
  const LibCurl& curl;
  CURL* handle;

  template <class T>
  void set(CURLoption option, T value) const {
    curl.easy_setopt(handle, option, value);
  }
  [[nodiscard]] long status(CURLINFO what) const {
    long value = 0;
    curl.easy_getinfo(handle, what, &value);
    return value;
  }
  [[nodiscard]] curl_off_t number(CURLINFO what) const {
    curl_off_t value = 0;
    curl.easy_getinfo(handle, what, &value);
    return value;
  }
};

// One exchange, as curl's callbacks see it.
struct Transfer {
  const HttpRequest& request;
  HttpSink& sink;
  Bytes& received;
  HttpHead head;
  std::size_t head_bytes = 0;
  std::size_t dropped = 0;
  bool has_head = false;  // the last one: what follows is the body
  SteadyTime last_byte = real_clock().steady_now();
  std::optional<Error> verdict;  // why we cut the connection

  [[nodiscard]] bool is_wanted() const { return head.status >= 200 && head.status < 300; }
};

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.front())) != 0) {
    text.remove_prefix(1);
  }
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) {
    text.remove_suffix(1);
  }
  return text;
}

// "HTTP/1.1 206 Partial Content" is 206.
int status_of(std::string_view line) {
  line.remove_prefix(std::min(line.find(' ') + 1, line.size()));
  int status = 0;
  std::from_chars(line.data(), line.data() + line.size(), status);
  return status;
}

void add_field(HttpHead& head, std::string_view line) {
  const auto colon = line.find(':');
  if (colon == std::string_view::npos) return;
  std::string name(line.substr(0, colon));
  for (char& c : name) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  const std::string_view value = trimmed(line.substr(colon + 1));
  const auto [field, is_new] = head.fields.try_emplace(std::move(name), value);
  if (!is_new) field->second.append(", ").append(value);
}

Result<void> count(Transfer& transfer, std::size_t bytes) {
  transfer.received += {bytes};
  transfer.last_byte = real_clock().steady_now();
  if (transfer.received <= transfer.request.traffic_limit) return {};
  return fail(ErrorCode::too_large, "reading it takes more than the {} of traffic allowed",
              transfer.request.traffic_limit);
}

Result<void> take_line(Transfer& transfer, std::string_view line) {
  BERTH_CHECK(count(transfer, line.size()));
  if (transfer.has_head) return {};  // a trailer
  transfer.head_bytes += line.size();
  if (transfer.head_bytes > kLongestHead) {
    return fail(ErrorCode::corrupt, "{} sends a head of more than {}",
                transfer.request.address.host, Bytes{kLongestHead});
  }
  if (line.starts_with("HTTP/")) {
    transfer.head = {.status = status_of(line), .host = transfer.request.address.host};
    return {};
  }
  if (!trimmed(line).empty()) {
    add_field(transfer.head, line);
    return {};
  }
  transfer.has_head = transfer.head.status >= 200;  // others announce that one follows
  if (transfer.is_wanted()) return transfer.sink.begin(transfer.head);
  return {};
}

Result<void> take_body(Transfer& transfer, std::span<const std::byte> bytes) {
  BERTH_CHECK(count(transfer, bytes.size()));
  if (transfer.is_wanted()) return transfer.sink.take(bytes);
  transfer.dropped += bytes.size();
  if (transfer.dropped > kLongestDropped) {
    return fail(ErrorCode::cancelled, "nobody wants more of this body");
  }
  return {};
}

Result<void> check_time(const Transfer& transfer) {
  const HttpRequest& request = transfer.request;
  if (request.stop.stop_requested()) {
    return fail(ErrorCode::cancelled, "reading was given up, because this program ends");
  }
  if (real_clock().steady_now() - transfer.last_byte <= request.deadlines.stall) return {};
  return fail(ErrorCode::timeout, "{} sent nothing for {}", request.address.host,
              seconds_text(request.deadlines.stall));
}

// Runs a callback's work; false, with the reason kept, where the connection is to be cut. Nothing
// is thrown through curl's C code.
template <class Work>
bool go_on(Transfer& transfer, Work work) noexcept {
  try {
    auto done = work();
    if (done) return true;
    transfer.verdict = std::move(done).error();
  } catch (const std::exception& thrown) {
    transfer.verdict = make_error(ErrorCode::internal, "reading an answer: {}", thrown.what());
  }
  return false;
}

std::size_t on_line(char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const std::string_view line(data, size * count);
  return go_on(transfer, [&] { return take_line(transfer, line); }) ? line.size() : 0;
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
  auto& transfer = *static_cast<Transfer*>(user);
  const auto bytes = std::as_bytes(std::span(data, size * count));
  // curl takes another number than it gave for "cut the connection".
  return go_on(transfer, [&] { return take_body(transfer, bytes); }) ? bytes.size()
                                                                     : bytes.size() + 1;
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  auto& transfer = *static_cast<Transfer*>(user);
  return go_on(transfer, [&] { return check_time(transfer); }) ? 0 : 1;
}

// Null where there is no memory.
FieldList field_list(const LibCurl& curl, const std::vector<std::string>& fields) {
  curl_slist* list = nullptr;
  for (const auto& field : fields) {
    curl_slist* longer = curl.slist_append(list, field.c_str());
    if (longer == nullptr) {
      curl.slist_free_all(list);
      return {nullptr, curl.slist_free_all};
    }
    list = longer;
  }
  return {list, curl.slist_free_all};
}

void set_authorities(const Easy& easy) {
  // libcurl leaves these to its callers.
  const Authorities own = authorities();
  for (const auto option : {CURLOPT_CAINFO, CURLOPT_PROXY_CAINFO}) {
    if (!own.file.empty()) easy.set(option, own.file.c_str());
  }
  for (const auto option : {CURLOPT_CAPATH, CURLOPT_PROXY_CAPATH}) {
    if (!own.folder.empty()) easy.set(option, own.folder.c_str());
  }
}

void set_up(const Easy& easy, const HttpRequest& request, Transfer& transfer, curl_slist* fields,
            char* detail) {
  easy.curl.easy_reset(easy.handle);  // keeps connections
  easy.set(CURLOPT_URL, request.address.url.c_str());
  easy.set(CURLOPT_PROTOCOLS_STR, "http,https");
  easy.set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  easy.set(CURLOPT_FOLLOWLOCATION, 0L);
  easy.set(CURLOPT_HTTP_CONTENT_DECODING, 0L);
  easy.set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L);
  easy.set(CURLOPT_NOSIGNAL, 1L);  // there are other threads
  easy.set(CURLOPT_BUFFERSIZE, kBuffer);
  easy.set(CURLOPT_USERAGENT, "berth");
  easy.set(CURLOPT_HTTPHEADER, fields);
  easy.set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(request.deadlines.connect.count()));
  easy.set(CURLOPT_TIMEOUT_MS, static_cast<long>(request.deadlines.request.count()));
  easy.set(CURLOPT_ERRORBUFFER, detail);
  easy.set(CURLOPT_HEADERFUNCTION, &on_line);
  easy.set(CURLOPT_HEADERDATA, &transfer);
  easy.set(CURLOPT_WRITEFUNCTION, &on_body);
  easy.set(CURLOPT_WRITEDATA, &transfer);
  easy.set(CURLOPT_NOPROGRESS, 0L);
  easy.set(CURLOPT_XFERINFOFUNCTION, &on_progress);
  easy.set(CURLOPT_XFERINFODATA, &transfer);
  set_authorities(easy);
  // Chosen here so that messages can name it; NO_PROXY is left to curl.
  if (request.direct) {
    easy.set(CURLOPT_PROXY, "");
  } else if (const auto proxy = proxy_for(request.address)) {
    easy.set(CURLOPT_PROXY, proxy->value.c_str());
  }
}

HttpFailure transient(Error error) { return {.error = std::move(error), .is_transient = true}; }

HttpFailure time_out(const Easy& easy, const HttpRequest& request, const std::string& to) {
  const bool was_connected = easy.number(CURLINFO_PRETRANSFER_TIME_T) > 0;
  if (!was_connected) {
    return transient(make_error(ErrorCode::timeout, "no connection to {} within {}", to,
                                seconds_text(request.deadlines.connect)));
  }
  return {.error = make_error(ErrorCode::timeout, "{} did not send its answer within {}",
                              request.address.host, seconds_text(request.deadlines.request))};
}

// Whether curl speaks of the proxy: it got as far as to ask it for the way, or names it.
bool is_about(const Proxy& proxy, CURLcode code, const Easy& easy, std::string_view detail) {
  if (code == CURLE_COULDNT_RESOLVE_PROXY || code == CURLE_PROXY) return true;
  if (easy.status(CURLINFO_HTTP_CONNECTCODE) != 0) return true;
  const auto colon = proxy.shown.rfind(':');
  return colon != std::string::npos &&
         detail.find(fmt::format("{} port {} ", proxy.shown.substr(0, colon),
                                 proxy.shown.substr(colon + 1))) != std::string_view::npos;
}

// What a proxy says to the wish for a way through it.
HttpFailure refused_way(int status, const Proxy& proxy, const std::string& host) {
  if (status == 407) return {.error = proxy_wants_user(proxy)};
  return {.error = make_error(status >= 500 ? ErrorCode::unavailable : ErrorCode::permission_denied,
                              "the proxy {} (of {}) opens no way to {} (HTTP {}); where none is "
                              "needed, name {} in NO_PROXY",
                              proxy.shown, proxy.variable, host, status, host),
          .is_transient = status >= 500 || status == 429};
}

Error distrust(const std::string& host, std::string_view why) {
  const Authorities own = authorities();
  if (own.file.empty() && own.folder.empty()) {
    return make_error(ErrorCode::io,
                      "the certificate of {} is not trusted: {}; where an authority of "
                      "your own signed it, name its file in SSL_CERT_FILE",
                      host, why);
  }
  const bool is_file = !own.file.empty();
  return make_error(ErrorCode::io,
                    "the certificate of {} is not trusted: {}; {} names {}, which must hold the "
                    "authority that signed it",
                    host, why, is_file ? own.file_variable : own.folder_variable,
                    is_file ? own.file : own.folder);
}

Error unread_authorities(std::string_view why) {
  const Authorities own = authorities();
  return make_error(ErrorCode::io,
                    "the certificates of the authorities can not be read: {}; see {}", why,
                    own.file.empty() ? "SSL_CERT_FILE and SSL_CERT_DIR" : own.file_variable);
}

// What went wrong on the way, in words for a person.
HttpFailure failure_of(CURLcode code, const Easy& easy, const HttpRequest& request,
                       std::string_view detail) {
  const std::string& host = request.address.host;
  const auto proxy = request.direct ? std::nullopt : proxy_for(request.address);
  // curl cites a proxy that it does not understand, password and all.
  if (proxy && (detail.starts_with("Unsupported proxy") ||
                detail.find(proxy->value) != std::string_view::npos)) {
    return {.error = make_error(ErrorCode::invalid_parameter,
                                "no connection to {}: {} holds no address of a proxy, such as "
                                "http://proxy.example:3128",
                                host, proxy->variable)};
  }
  const std::string why = quoted(detail.empty() ? easy.curl.easy_strerror(code) : detail);
  const bool is_proxy = proxy && is_about(*proxy, code, easy, detail);
  const auto refusal = is_proxy ? easy.status(CURLINFO_HTTP_CONNECTCODE) : 0;
  if (refusal >= 300) return refused_way(static_cast<int>(refusal), *proxy, host);
  const std::string to =
      is_proxy ? fmt::format("{} through the proxy {} (of {})", host, proxy->shown, proxy->variable)
               : host;
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return time_out(easy, request, to);
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PROXY:
      return transient(make_error(ErrorCode::unavailable, "no connection to {}: {}", to, why));
    case CURLE_PARTIAL_FILE:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_ERROR:
    case CURLE_GOT_NOTHING:
      return transient(
          make_error(ErrorCode::unavailable, "the connection to {} broke off: {}", to, why));
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_ISSUER_ERROR:
      return {.error = distrust(host, why)};
    case CURLE_SSL_CACERT_BADFILE:
      return {.error = unread_authorities(why)};
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
      return {.error = make_error(ErrorCode::corrupt, "{} does not speak HTTP: {}", to, why)};
    default:
      return {.error = make_error(ErrorCode::io, "asking {}: {}", to, why)};
  }
}

Duration retry_after_of(const Easy& easy, const HttpHead& head) {
  const curl_off_t seconds = easy.number(CURLINFO_RETRY_AFTER);
  if (seconds <= 0 && head.status == 429) {
    // The rest of a second is not told.
    if (const auto limit = reached_limit(head)) return limit->reset + std::chrono::seconds(1);
  }
  // Longer than anybody waits, and far from an overflow.
  return std::chrono::seconds(std::clamp<curl_off_t>(seconds, 0, 1'000'000));
}

}  // namespace

std::string_view HttpHead::field(std::string_view name) const {
  const auto found = fields.find(name);
  return found == fields.end() ? std::string_view{} : std::string_view(found->second);
}

Result<CurlHandle> CurlHandle::open() {
  BERTH_TRY(const LibCurl* curl, libcurl());
  Handle handle(curl->easy_init(), curl->easy_cleanup);
  if (!handle) return fail(ErrorCode::internal, "libcurl has no memory");
  return CurlHandle(*curl, std::move(handle));
}

HttpResult<HttpHead> CurlHandle::get(const HttpRequest& request, HttpSink& sink) {
  const FieldList fields = field_list(*curl_, request.fields);
  if (!fields) {
    return tl::unexpected(
        HttpFailure{.error = make_error(ErrorCode::internal, "libcurl has no memory")});
  }
  std::array<char, CURL_ERROR_SIZE> detail{};
  Transfer transfer{.request = request, .sink = sink, .received = received_};
  const Easy easy{.curl = *curl_, .handle = handle_.get()};
  set_up(easy, request, transfer, fields.get(), detail.data());
  const CURLcode code = curl_->easy_perform(handle_.get());
  const bool was_dropped = transfer.has_head && !transfer.is_wanted();
  if (transfer.verdict && !(was_dropped && transfer.dropped > kLongestDropped)) {
    return tl::unexpected(HttpFailure{.error = std::move(*transfer.verdict)});
  }
  if (code != CURLE_OK && !was_dropped) {
    return tl::unexpected(failure_of(code, easy, request, detail.data()));
  }
  if (!was_dropped && !(transfer.has_head && sink.is_complete())) {
    return tl::unexpected(transient(
        make_error(ErrorCode::unavailable, "{} ended its answer early", request.address.host)));
  }
  transfer.head.retry_after = retry_after_of(easy, transfer.head);
  return std::move(transfer.head);
}

std::string quoted(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, kLongestQuote)) out += c >= 0x20 && c < 0x7F ? c : '?';
  if (text.size() > kLongestQuote) out += "…";
  return out;
}

std::string seconds_text(Duration duration) {
  return fmt::format("{:g} s", static_cast<double>(duration.count()) / 1000);
}

}  // namespace berth::sources
