#include "net/http.h"

#include <array>

#include <boost/beast/http/status.hpp>

namespace berth::net {
namespace {

constexpr std::array kCodes = {ErrorCode::invalid_parameter,
                               ErrorCode::invalid_request,
                               ErrorCode::unauthenticated,
                               ErrorCode::permission_denied,
                               ErrorCode::not_found,
                               ErrorCode::method_not_allowed,
                               ErrorCode::already_exists,
                               ErrorCode::conflict,
                               ErrorCode::gone,
                               ErrorCode::too_large,
                               ErrorCode::resource_exhausted,
                               ErrorCode::cancelled,
                               ErrorCode::internal,
                               ErrorCode::unavailable,
                               ErrorCode::timeout,
                               ErrorCode::io,
                               ErrorCode::corrupt,
                               ErrorCode::unsupported};

ErrorCode code_of_status(int status) {
  for (const ErrorCode code : kCodes) {
    // 400 and 500 stand for several codes.
    if (status == 400) return ErrorCode::invalid_request;
    if (http_status(code) == status) return code;
  }
  return status < 500 ? ErrorCode::invalid_request : ErrorCode::unavailable;
}

std::string text_of(const json::value* value) {
  const json::string* text = value != nullptr ? value->if_string() : nullptr;
  return text != nullptr ? std::string(text->data(), text->size()) : std::string();
}

}  // namespace

std::string_view Request::bearer_token() const {
  constexpr std::string_view kBearer = "bearer ";
  std::string_view value = headers.get("authorization").value_or("");
  if (!equal_ignoring_case(value.substr(0, kBearer.size()), kBearer)) return {};
  value.remove_prefix(kBearer.size());
  while (value.starts_with(' ')) value.remove_prefix(1);
  return value;
}

Response text_response(int status, std::string body, std::string_view content_type) {
  Response response{.status = status, .headers = {}, .body = std::move(body)};
  response.headers.set("content-type", content_type);
  return response;
}

Response json_response(int status, const json::value& value) {
  return text_response(status, to_text(value), "application/json");
}

std::string_view error_type(ErrorCode code) {
  switch (code) {
    case ErrorCode::unauthenticated:
      return "authentication_error";
    case ErrorCode::permission_denied:
      return "permission_error";
    case ErrorCode::not_found:
    case ErrorCode::gone:
      return "not_found_error";
    case ErrorCode::resource_exhausted:
      return "rate_limit_error";
    case ErrorCode::internal:
    case ErrorCode::io:
    case ErrorCode::unavailable:
    case ErrorCode::timeout:
      return "server_error";
    default:
      return "invalid_request_error";
  }
}

json::object error_json(const Error& error) {
  json::value param = nullptr;
  if (!error.field.empty()) param = json::string(error.field);
  return {{"error",
           {{"message", error.to_string()},
            {"type", error_type(error.code)},
            {"param", std::move(param)},
            {"code", name_of(error.code)}}}};
}

Response error_response(int status, const Error& error) {
  return json_response(status, error_json(error));
}

Response error_response(const Error& error, std::string_view request_id) {
  Response response = error_response(http_status(error.code), error);
  if (!request_id.empty()) response.headers.set("x-request-id", request_id);
  return response;
}

Error error_from_response(int status, std::string_view body) {
  Error error{.code = code_of_status(status)};
  const auto parsed = parse_json(body);
  const json::object* outer = parsed ? parsed->if_object() : nullptr;
  const json::value* inner = outer != nullptr ? outer->if_contains("error") : nullptr;
  if (inner != nullptr && inner->is_object()) {
    const json::object& object = inner->get_object();
    error.message = text_of(object.if_contains("message"));
    error.field = text_of(object.if_contains("param"));
    const std::string name = text_of(object.if_contains("code"));
    for (const ErrorCode code : kCodes) {
      if (name == name_of(code)) error.code = code;
    }
  } else {
    error.message = text_of(inner);
  }
  if (error.message.empty()) {
    error.message = fmt::format("the server answered with status {} {}: {}", status,
                                reason_phrase(status), body.substr(0, 200));
  }
  return error;
}

std::string_view reason_phrase(int status) {
  const auto known = boost::beast::http::int_to_status(static_cast<unsigned>(status));
  if (known == boost::beast::http::status::unknown) return "";
  const auto reason = boost::beast::http::obsolete_reason(known);
  return {reason.data(), reason.size()};
}

}  // namespace berth::net
