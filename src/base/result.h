// Result<T> and Error: how a function says that it failed for an ordinary reason. Exceptions are
// for bugs and start-up only; none crosses a module's edge.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <tl/expected.hpp>

namespace berth {

enum class ErrorCode {
  invalid_parameter,   // one named field, flag or parameter is wrong: HTTP 400, exit code 2
  invalid_request,     // the request as a whole is malformed: HTTP 400
  unauthenticated,     // no key, or a wrong one: HTTP 401
  permission_denied,   // a valid key that may not do this: HTTP 403
  not_found,           // HTTP 404
  method_not_allowed,  // HTTP 405
  already_exists,      // HTTP 409
  conflict,            // the revision moved on, or the state forbids it: HTTP 409
  gone,                // compacted or removed for good: HTTP 410
  too_large,           // a body or head above its limit: HTTP 413
  resource_exhausted,  // a queue, quota or memory is full: HTTP 429
  cancelled,           // the caller went away: 499 in metrics
  internal,            // a bug of ours: HTTP 500
  unavailable,         // not now, try again: HTTP 503
  timeout,             // a deadline passed: HTTP 504
  io,                  // the operating system said no: HTTP 500
  corrupt,             // a file or a message breaks its own format
  unsupported,         // well formed, but beyond what we can do
};

// The code's name as it appears in JSON and logs, such as "invalid_parameter".
std::string_view name_of(ErrorCode code);

// The HTTP status that answers a request which failed with `code`.
int http_status(ErrorCode code);

// What went wrong, for a person. A value; copy freely.
struct Error {
  ErrorCode code = ErrorCode::internal;
  std::string message;              // says what, where, and what to do
  std::string field;                // the offending field, flag or JSON path; empty where none
  std::vector<std::string> causes;  // from the nearest to the root

  // Puts a sentence in front; the old message becomes the first cause.
  template <class... Args>
  Error context(fmt::format_string<Args...> format, Args&&... args) && {
    causes.insert(causes.begin(), std::move(message));
    message = fmt::format(format, std::forward<Args>(args)...);
    return std::move(*this);
  }

  Error with_field(std::string name) && {
    field = std::move(name);
    return std::move(*this);
  }

  // "message: cause: cause".
  [[nodiscard]] std::string to_string() const;
};

template <class T>
using Result = tl::expected<T, Error>;

template <class... Args>
[[nodiscard]] Error make_error(ErrorCode code, fmt::format_string<Args...> format, Args&&... args) {
  return Error{.code = code, .message = fmt::format(format, std::forward<Args>(args)...)};
}

// `return fail(ErrorCode::not_found, "no model is named {}", name);`
template <class... Args>
[[nodiscard]] tl::unexpected<Error> fail(ErrorCode code, fmt::format_string<Args...> format,
                                         Args&&... args) {
  return tl::unexpected<Error>(make_error(code, format, std::forward<Args>(args)...));
}

[[nodiscard]] inline tl::unexpected<Error> fail(Error error) {
  return tl::unexpected<Error>(std::move(error));
}

// As `fail`, with errno's text appended: "opening /x: No such file or directory".
template <class... Args>
[[nodiscard]] tl::unexpected<Error> fail_errno(int error_number, fmt::format_string<Args...> format,
                                               Args&&... args);
// The error of `fail_errno`.
[[nodiscard]] Error errno_error(int error_number, std::string what);

template <class... Args>
tl::unexpected<Error> fail_errno(int error_number, fmt::format_string<Args...> format,
                                 Args&&... args) {
  return tl::unexpected<Error>(
      errno_error(error_number, fmt::format(format, std::forward<Args>(args)...)));
}

}  // namespace berth

#define BERTH_CONCAT_INNER(a, b) a##b
#define BERTH_CONCAT(a, b) BERTH_CONCAT_INNER(a, b)
#define BERTH_TRY_IMPL(tmp, returning, declaration, ...)     \
  auto tmp = (__VA_ARGS__);                                  \
  if (!tmp) returning ::berth::fail(std::move(tmp).error()); \
  declaration = *std::move(tmp)
#define BERTH_CHECK_IMPL(tmp, returning, ...) \
  if (auto tmp = (__VA_ARGS__); !tmp) returning ::berth::fail(std::move(tmp).error())

// BERTH_TRY(auto value, expression): unwraps a Result or returns its error.
#define BERTH_TRY(declaration, ...) \
  BERTH_TRY_IMPL(BERTH_CONCAT(berth_try_, __LINE__), return, declaration, __VA_ARGS__)
// The same in a coroutine. Await into a named local first; do not put co_await in the expression.
#define BERTH_CO_TRY(declaration, ...) \
  BERTH_TRY_IMPL(BERTH_CONCAT(berth_try_, __LINE__), co_return, declaration, __VA_ARGS__)
// For Result<void>: returns the error, if there is one.
#define BERTH_CHECK(...) BERTH_CHECK_IMPL(BERTH_CONCAT(berth_check_, __LINE__), return, __VA_ARGS__)
#define BERTH_CO_CHECK(...) \
  BERTH_CHECK_IMPL(BERTH_CONCAT(berth_check_, __LINE__), co_return, __VA_ARGS__)
