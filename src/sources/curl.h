// CurlHandle: the one place that owns libcurl's handles. One GET at a time, neither redirected nor
// repeated: http_client.h does that. Internal to sources.
#pragma once

#include "base/bytes.h"
#include "base/clock.h"
#include "base/result.h"
#include "sources/address.h"

#include <cstddef>
#include <map>
#include <memory>
#include <span>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace berth::sources {

struct LibCurl;

// How long one exchange may take.
struct HttpDeadlines {
  Duration connect = std::chrono::seconds(10);  // looking up the name, connecting, TLS
  Duration stall = std::chrono::seconds(30);    // without a byte; noticed up to a second later
  Duration request = std::chrono::seconds(60);  // to the last byte of the answer
};

// The head of an answer.
struct HttpHead {
  int status = 0;
  std::string host;                                        // that answers
  std::map<std::string, std::string, std::less<>> fields;  // by name in lower case
  Duration retry_after{0};  // by Retry-After, or RateLimit with a status 429; 0: not said

  // Empty where absent; one that is there several times is joined by ", ".
  [[nodiscard]] std::string_view field(std::string_view name) const;
};

// Takes the body of an answer 2xx while it comes in.
class HttpSink {
 public:
  HttpSink() = default;
  HttpSink(const HttpSink&) = delete;
  HttpSink& operator=(const HttpSink&) = delete;
  virtual ~HttpSink() = default;

  // An answer begins, perhaps once more because the one before broke off. A failure cuts the
  // connection before any of the body is read, and is what the request fails with.
  virtual Result<void> begin(const HttpHead& head) = 0;
  virtual Result<void> take(std::span<const std::byte> bytes) = 0;
  // Whether all came that the head promised.
  [[nodiscard]] virtual bool is_complete() const = 0;
};

struct HttpRequest {
  const Address& address;
  std::vector<std::string> fields;  // "Range: bytes=0-9"
  HttpDeadlines deadlines;
  Bytes traffic_limit;  // of the handle, from its beginning
  std::stop_token stop;
  bool direct = false;  // past any proxy
};

// Why there is no answer.
struct HttpFailure {
  Error error;
  bool is_transient = false;  // a later attempt may go better
  Duration retry_after{0};    // what the server asked for
};

template <class T>
using HttpResult = tl::expected<T, HttpFailure>;

// A handle keeps its connections for the next request. Not thread-safe; blocks. Proxies and
// authorities come from the environment (web_settings.h), else from the system; no message holds a
// proxy's user or password.
class CurlHandle {
 public:
  // Fails with unsupported or internal where libcurl can not be loaded or set up.
  static Result<CurlHandle> open();

  // Sends a GET and feeds `sink`. Bodies of other answers than 2xx are dropped.
  HttpResult<HttpHead> get(const HttpRequest& request, HttpSink& sink);

  // What came so far, heads included.
  [[nodiscard]] Bytes received() const { return received_; }
  // For another user of the handle.
  void count_anew() { received_ = {}; }

 private:
  using Handle = std::unique_ptr<void, void (*)(void*)>;

  CurlHandle(const LibCurl& curl, Handle handle) : curl_(&curl), handle_(std::move(handle)) {}

  const LibCurl* curl_;
  Handle handle_;
  Bytes received_;
};

// What a server said, fit for a message: printable ASCII, cut where it is long.
std::string quoted(std::string_view text);

// "1.5 s".
std::string seconds_text(Duration duration);

}  // namespace berth::sources
