// HttpClient: GETs of one file on the web, with redirects followed and what is transient tried
// again. What reads a file from afar, in parts or as a whole, goes through this.
#pragma once

#include "sources/curl.h"

#include <functional>
#include <memory>
#include <optional>

namespace berth::sources {

struct HttpRetries {
  int count = 3;                                          // attempts after the first
  Duration first_pause = std::chrono::milliseconds(500);  // doubles each time; less a random part
  // Also of what a server asks for by Retry-After or RateLimit; where that is longer, there is no
  // other attempt.
  Duration longest_pause = std::chrono::seconds(20);
};

class ConnectionPool;

struct HttpOptions {
  HttpDeadlines deadlines;
  Duration total = std::chrono::minutes(2);  // of all requests of the client, from its opening
  SteadyTime end = SteadyTime::max();        // nor does any go on beyond it
  HttpRetries retries;
  // Sent to the address's own server only, never where a redirect leads to another; never in a
  // message. Empty: none.
  std::string bearer_token;
  // A whole field that is as secret and goes to the same server only ("Cookie: a=b"). Empty: none.
  std::string secret_field;
  // Says in the words of the address's own server why it gives no file; nothing leaves that to the
  // client. Not asked about servers that redirects lead to.
  std::function<std::optional<Error>(const HttpHead&, bool has_secret)> explain;
  Bytes traffic_limit = 64_MiB;  // of all that comes in, failed attempts and heads included
  std::stop_token stop;          // ends a request within about a second
  bool direct = false;           // past any proxy, whatever the environment says
  // Whose connections are used, and kept open for the next client; null: those of the client alone.
  std::shared_ptr<ConnectionPool> connections;
};

inline constexpr int kMaxRedirects = 5;

// Not thread-safe; blocks.
class HttpClient {
 public:
  // Does not ask anything yet. Fails with invalid_parameter where the token, or the secret
  // field, can not be sent.
  static Result<HttpClient> open(Address address, HttpOptions options);

  HttpClient(HttpClient&&) noexcept = default;
  HttpClient& operator=(HttpClient&&) = delete;
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;
  ~HttpClient();

  // A GET with these fields ("Range: bytes=0-9"), its body to `sink`. Gives the heads of answers
  // 2xx, and of 412 and 416, whose bodies are dropped; all others are errors:
  // unauthenticated (401), permission_denied (403), not_found (404, 410), unavailable (429, 5xx, no
  // connection), timeout, cancelled, too_large (the traffic), io (TLS), corrupt or unsupported
  // (what no sane server says), and what `sink` fails with. Connection failures, 429 and 5xx are
  // tried again first. No message holds the address's query or the token.
  Result<HttpHead> get(const std::vector<std::string>& fields, HttpSink& sink);

  // `get` without its retries, for callers who have a patience of their own.
  HttpResult<HttpHead> get_once(const std::vector<std::string>& fields, HttpSink& sink);

  // The server that answered last.
  [[nodiscard]] const std::string& host() const { return place_.host; }
  [[nodiscard]] Bytes traffic() const { return curl_.received(); }
  [[nodiscard]] const HttpOptions& options() const { return options_; }

 private:
  HttpClient(CurlHandle curl, Address address, HttpOptions options);

  // Whether what is secret may go to `place`, and there is something secret.
  [[nodiscard]] bool has_secret_for(const Address& place) const;
  [[nodiscard]] HttpFailure failure_of(const HttpHead& head, const Address& place) const;
  HttpResult<HttpHead> follow(const std::vector<std::string>& fields, HttpSink& sink);
  HttpResult<HttpHead> ask(const Address& place, std::vector<std::string> fields, HttpSink& sink);

  CurlHandle curl_;
  Address address_;
  Address place_;  // where redirects led the last time
  HttpOptions options_;
  SteadyTime end_;
};

// Half of `pause` to all of it, so that many clients do not come back at once.
Duration with_jitter(Duration pause);

// Blocks for `pause`, or until stopped.
void wait_for(Duration pause, const std::stop_token& stop);

}  // namespace berth::sources
