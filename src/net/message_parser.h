// Parsing of HTTP/1 messages from bytes, without sockets: heads with the checks against request
// smuggling, bodies as views of the input. Internal to net.
#pragma once

#include "base/bytes.h"
#include "base/result.h"
#include "net/http.h"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace berth::net {

// What a call of `advance` found. It finds at most one thing.
struct ParseStep {
  enum class Kind {
    need_more,  // call again when the input has grown; what was not consumed stays in it
    head,       // the head is complete
    body,       // `body` is a piece of the decoded body, a view of the input
    end,        // the message is complete; bytes that follow belong to the next one
  };
  Kind kind = Kind::need_more;
  std::size_t consumed = 0;  // take so many bytes off the front of the input (after use of `body`)
  std::string_view body;
};

// One message. Errors: too_large for a head above its limit, invalid_request for the rest; the
// parser is then of no further use. More than 256 fields are too many.
class RequestParser {
 public:
  explicit RequestParser(Bytes head_limit);
  ~RequestParser();
  RequestParser(const RequestParser&) = delete;
  RequestParser& operator=(const RequestParser&) = delete;

  Result<ParseStep> advance(std::string_view input);

  // Valid after the head. Without peer and id.
  [[nodiscard]] Request& request();
  [[nodiscard]] bool keep_alive() const;
  [[nodiscard]] bool is_http_1_0() const;
  [[nodiscard]] bool expects_continue() const;
  [[nodiscard]] bool done() const;                     // the body too
  [[nodiscard]] std::uint64_t content_length() const;  // 0 where not given

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

class ResponseParser {
 public:
  // `head_request`: the answer to HEAD, which never has a body.
  ResponseParser(Bytes head_limit, bool head_request);
  ~ResponseParser();
  ResponseParser(const ResponseParser&) = delete;
  ResponseParser& operator=(const ResponseParser&) = delete;

  Result<ParseStep> advance(std::string_view input);
  // The peer closed: ends a body that is delimited so, else fails.
  Result<void> end_of_input();

  [[nodiscard]] int status() const;
  [[nodiscard]] Headers& headers();
  [[nodiscard]] bool keep_alive() const;
  [[nodiscard]] bool done() const;

  struct Impl;

 private:
  std::unique_ptr<Impl> impl_;
};

}  // namespace berth::net
