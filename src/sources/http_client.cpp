#include "sources/http_client.h"

#include "sources/connection_pool.h"
#include "sources/rate_limit.h"
#include "sources/web_settings.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <random>

namespace berth::sources {
namespace {

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

bool is_given_to_caller(int status) {
  return (status >= 200 && status < 300) || status == 412 || status == 416;
}

// An address that redirects gave may be good for a time only; the way to it is asked for again.
bool may_have_expired(ErrorCode code) {
  return code == ErrorCode::unauthenticated || code == ErrorCode::permission_denied ||
         code == ErrorCode::not_found;
}

Error refusal(int status, const std::string& host, bool has_token) {
  switch (status) {
    case 401:
      return has_token ? make_error(ErrorCode::unauthenticated,
                                    "{} does not accept the token (HTTP 401)", host)
                       : make_error(ErrorCode::unauthenticated,
                                    "{} wants to know who asks (HTTP 401); download the file with "
                                    "your account and give its local path",
                                    host);
    case 403:
      return make_error(ErrorCode::permission_denied,
                        "{} does not allow it (HTTP 403); a signed address may have expired, or "
                        "the model's terms are to be accepted there first",
                        host);
    case 404:
    case 410:
      return make_error(ErrorCode::not_found, "{} has no such file (HTTP {})", host, status);
    case 429:
      return make_error(ErrorCode::unavailable,
                        "{} has had too many requests (HTTP 429); try again later", host);
    default:
      if (status >= 500) {
        return make_error(ErrorCode::unavailable, "{} is in trouble (HTTP {}); try again later",
                          host, status);
      }
      return make_error(ErrorCode::unsupported, "{} answers with HTTP {}, which is no file", host,
                        status);
  }
}

Error cancelled() {
  return make_error(ErrorCode::cancelled, "reading was given up, because this program ends");
}

// Characters that no line end, and so no field of its own, can be made of.
bool is_plain(std::string_view text, char first) {
  return std::ranges::all_of(
      text, [&](char c) { return c >= first && static_cast<unsigned char>(c) < 0x7F; });
}

}  // namespace

Duration with_jitter(Duration pause) {
  thread_local std::minstd_rand random{std::random_device{}()};
  std::uniform_int_distribution<Duration::rep> part(pause.count() / 2, pause.count());
  return Duration(part(random));
}

void wait_for(Duration pause, const std::stop_token& stop) {
  std::mutex mutex;
  std::condition_variable_any nobody;
  std::unique_lock lock(mutex);
  nobody.wait_for(lock, stop, pause, [] { return false; });
}

HttpClient::HttpClient(CurlHandle curl, Address address, HttpOptions options)
    : curl_(std::move(curl)),
      address_(std::move(address)),
      place_(address_),
      options_(std::move(options)),
      end_(std::min(options_.end, real_clock().steady_now() + options_.total)) {}

Result<HttpClient> HttpClient::open(Address address, HttpOptions options) {
  if (!is_plain(options.bearer_token, '!') || !is_plain(options.secret_field, ' ')) {
    return fail(ErrorCode::invalid_parameter,
                "the token has characters that no token has, such as spaces or line ends");
  }
  if (options.connections) {
    if (auto idle = options.connections->take(address)) {
      return HttpClient(*std::move(idle), std::move(address), std::move(options));
    }
  }
  BERTH_TRY(auto curl, CurlHandle::open());
  return HttpClient(std::move(curl), std::move(address), std::move(options));
}

HttpClient::~HttpClient() {
  // Null in one that was moved from, too.
  if (options_.connections) options_.connections->give(address_, std::move(curl_));
}

Result<HttpHead> HttpClient::get(const std::vector<std::string>& fields, HttpSink& sink) {
  const HttpRetries& retries = options_.retries;
  Duration pause = retries.first_pause;
  for (int retry = 0;; ++retry) {
    auto answer = get_once(fields, sink);
    if (answer) return std::move(*answer);
    HttpFailure failure = std::move(answer).error();
    if (failure.retry_after > retries.longest_pause) {
      failure.error.message +=
          fmt::format("; it asks to wait for {}", seconds_text(failure.retry_after));
      return fail(std::move(failure.error));
    }
    const Duration next =
        std::max(with_jitter(std::min(pause, retries.longest_pause)), failure.retry_after);
    const bool has_time = real_clock().steady_now() + next < end_;
    if (!failure.is_transient || retry == retries.count || !has_time) {
      if (retry > 0) failure.error.message += fmt::format(" (after {} attempts)", retry + 1);
      return fail(std::move(failure.error));
    }
    wait_for(next, options_.stop);
    pause *= 2;
  }
}

bool HttpClient::has_secret_for(const Address& place) const {
  const bool has_secret = !options_.bearer_token.empty() || !options_.secret_field.empty();
  return has_secret && place.same_origin(address_);
}

HttpFailure HttpClient::failure_of(const HttpHead& head, const Address& place) const {
  const bool has_secret = has_secret_for(place);
  HttpFailure failure{.error = refusal(head.status, place.host, has_secret),
                      .is_transient = head.status == 429 || head.status >= 500,
                      .retry_after = head.retry_after};
  if (const auto limit = head.status == 429 ? reached_limit(head) : std::nullopt;
      limit && limit->quota != 0 && limit->seconds != 0) {
    failure.error.message +=
        fmt::format("; it allows {} requests in {} s", limit->quota, limit->seconds);
  }
  if (head.status == 407) {
    if (const auto proxy = proxy_for(place)) return {.error = proxy_wants_user(*proxy)};
  }
  if (options_.explain && place.same_origin(address_)) {
    if (auto own = options_.explain(head, has_secret)) failure.error = *std::move(own);
  }
  return failure;
}

HttpResult<HttpHead> HttpClient::get_once(const std::vector<std::string>& fields, HttpSink& sink) {
  const bool was_elsewhere = place_.url != address_.url;
  auto answer = follow(fields, sink);
  if (answer || !was_elsewhere || !may_have_expired(answer.error().error.code)) return answer;
  place_ = address_;
  return follow(fields, sink);
}

HttpResult<HttpHead> HttpClient::follow(const std::vector<std::string>& fields, HttpSink& sink) {
  Address place = place_;
  for (int hops = 0; hops <= kMaxRedirects; ++hops) {
    auto head = ask(place, fields, sink);
    if (!head) return head;
    if (is_given_to_caller(head->status)) {
      place_ = std::move(place);
      return head;
    }
    if (!is_redirect(head->status)) {
      return tl::unexpected(failure_of(*head, place));
    }
    auto next = redirected(place, head->field("location"));
    if (!next) return tl::unexpected(HttpFailure{.error = std::move(next).error()});
    place = std::move(*next);
  }
  return tl::unexpected(HttpFailure{
      .error = make_error(ErrorCode::unsupported, "{} redirects in a circle, or more than {} times",
                          address_.host, kMaxRedirects)});
}

HttpResult<HttpHead> HttpClient::ask(const Address& place, std::vector<std::string> fields,
                                     HttpSink& sink) {
  if (options_.stop.stop_requested()) return tl::unexpected(HttpFailure{.error = cancelled()});
  const auto left = std::chrono::duration_cast<Duration>(end_ - real_clock().steady_now());
  if (left <= Duration(0)) {
    return tl::unexpected(
        HttpFailure{.error = make_error(ErrorCode::timeout, "reading from {} took longer than {}",
                                        place.host, seconds_text(options_.total))});
  }
  fields.emplace_back("Accept-Encoding: identity");
  if (has_secret_for(place)) {
    if (!options_.bearer_token.empty()) {
      fields.push_back("Authorization: Bearer " + options_.bearer_token);
    }
    if (!options_.secret_field.empty()) fields.push_back(options_.secret_field);
  }
  HttpRequest request{.address = place,
                      .fields = std::move(fields),
                      .deadlines = options_.deadlines,
                      .traffic_limit = options_.traffic_limit,
                      .stop = options_.stop,
                      .direct = options_.direct};
  request.deadlines.request = std::min(request.deadlines.request, left);
  return curl_.get(request, sink);
}

}  // namespace berth::sources
