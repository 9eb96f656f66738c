// The values of HTTP: a request as the server hands it to handlers, a response, and errors in the
// shape that OpenAI's clients know.
#pragma once

#include "base/json.h"
#include "base/result.h"
#include "net/headers.h"
#include "net/tls.h"
#include "net/url.h"

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace berth::net {

// A piece of a body, a view that lives until the next read; nothing at the body's end.
using BodyPiece = std::optional<std::string_view>;

// The head of a request; its body is read through the Exchange.
struct Request {
  std::string method;  // upper case as sent: "GET"
  std::string target;  // as sent: "/v1/models?limit=3"
  std::string path;    // percent-decoded, without the query. Routes match on encoded segments, so
                       // that a "%2F" inside a name stays part of that name.
  Query query;
  Headers headers;
  std::string peer;  // "127.0.0.1:40312"
  // What a TLS client showed, verified; null: nothing.
  std::shared_ptr<const PeerCertificate> certificate;
  std::string id;  // x-request-id: the client's where sane, else ours; always returned

  // What follows "Bearer " in Authorization, or an empty view.
  [[nodiscard]] std::string_view bearer_token() const;
};

struct Response {
  int status = 200;
  Headers headers;
  std::string body;
};

Response text_response(int status, std::string body,
                       std::string_view content_type = "text/plain; charset=utf-8");
Response json_response(int status, const json::value& value);

// {"error":{"message","type","param","code"}}: `type` and status follow from the error's code,
// `code` is its name, `param` its field or null. An empty `request_id` adds no header (the server
// adds it to every answer anyway).
Response error_response(const Error& error, std::string_view request_id = {});
// The same for a status that no ErrorCode has (431, 408).
Response error_response(int status, const Error& error);
// The JSON of `error_response`, for an error inside a stream that has begun.
json::object error_json(const Error& error);
// OpenAI's name for a kind of failure: "invalid_request_error", "authentication_error",
// "permission_error", "not_found_error", "rate_limit_error", "server_error".
std::string_view error_type(ErrorCode code);
// Reads such an answer back: the message of the body, the code by name, else by status.
Error error_from_response(int status, std::string_view body);

// "OK", "Not Found" …; empty for an unknown status.
std::string_view reason_phrase(int status);

}  // namespace berth::net
