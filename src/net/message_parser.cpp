#include "net/message_parser.h"

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>

namespace berth::net {
namespace {

namespace http = boost::beast::http;
using boost::beast::error_code;
using BeastView = boost::beast::string_view;

constexpr std::size_t kMaxFields = 256;
constexpr std::size_t kUsualFields = 12;
// A chunk's size line, its extensions and the trailers.
constexpr std::size_t kChunkHeadLimit = 16 * 1024;

std::string_view view(BeastView text) { return {text.data(), text.size()}; }

// Beast's parser with the least state: the fields of the head, and the last piece of the body.
template <bool is_request>
class Parser final : public http::basic_parser<is_request> {
 public:
  explicit Parser(Bytes head_limit) {
    this->header_limit(static_cast<std::uint32_t>(head_limit.count));
    this->body_limit(boost::none);
    headers.reserve(kUsualFields);
  }

  Result<ParseStep> advance(std::string_view input) {
    ParseStep step;
    if (this->is_done()) {
      step.kind = ParseStep::Kind::end;
      return step;
    }
    while (!input.empty()) {
      const bool in_head = !this->is_header_done();
      // Beast asserts five bytes when it resumes at the last chunk's line; a line with the data or
      // the line that must follow has as many.
      if (!in_head && this->chunked() && chunk_left_ == 0 && input.size() < 5) break;
      piece_ = {};
      error_code error;
      const std::size_t used = this->put(boost::asio::buffer(input.data(), input.size()), error);
      step.consumed += used;
      input.remove_prefix(used);
      if (error && error != http::error::need_more) return fail(parse_error(error));
      if (in_head && this->is_header_done()) {
        if (fields_ > kMaxFields) {
          return fail(ErrorCode::too_large, "the head has more than {} fields", kMaxFields);
        }
        step.kind = ParseStep::Kind::head;
        return step;
      }
      if (!piece_.empty()) {
        step.kind = ParseStep::Kind::body;
        step.body = piece_;
        return step;
      }
      if (this->is_done()) {
        step.kind = ParseStep::Kind::end;
        return step;
      }
      if (error) break;
    }
    if (this->is_header_done() && input.size() > kChunkHeadLimit) {
      return fail(ErrorCode::invalid_request, "the line of a chunk has no end");
    }
    return step;
  }

  std::string method;
  std::string target;
  int version = 11;
  int status = 0;
  Headers headers;

 private:
  static Error parse_error(const error_code& error) {
    if (error == http::error::header_limit) {
      return make_error(ErrorCode::too_large, "the head is larger than the limit");
    }
    return make_error(ErrorCode::invalid_request, "malformed HTTP: {}", error.message());
  }

  void on_request_impl(http::verb, BeastView method_string, BeastView target_string,
                       int http_version, error_code&) override {
    method = view(method_string);
    target = view(target_string);
    version = http_version;
  }
  void on_response_impl(int code, BeastView, int http_version, error_code&) override {
    status = code;
    version = http_version;
  }
  void on_field_impl(http::field, BeastView name, BeastView value, error_code&) override {
    if (this->is_header_done() || ++fields_ > kMaxFields) return;  // trailers are dropped
    headers.add(view(name), view(value));
  }
  void on_header_impl(error_code&) override {}
  void on_body_init_impl(boost::optional<std::uint64_t> const&, error_code&) override {}
  std::size_t on_body_impl(BeastView body, error_code&) override {
    piece_ = view(body);
    return body.size();
  }
  void on_chunk_header_impl(std::uint64_t size, BeastView, error_code&) override {
    chunk_left_ = size;
  }
  std::size_t on_chunk_body_impl(std::uint64_t, BeastView body, error_code&) override {
    piece_ = view(body);
    chunk_left_ -= body.size();
    return body.size();
  }
  void on_finish_impl(error_code&) override {}

  std::string_view piece_;
  std::uint64_t chunk_left_ = 0;  // of the current chunk's data
  std::size_t fields_ = 0;
};

// What Beast lets pass and two servers in a row might read differently (RFC 9112, 6.1 and 11.2).
Result<void> check_framing(const Headers& headers, int version) {
  const auto lengths = headers.get_all("content-length");
  const auto encodings = headers.get_all("transfer-encoding");
  if (!lengths.empty() && !encodings.empty()) {
    return fail(ErrorCode::invalid_request,
                "Content-Length and Transfer-Encoding exclude each other");
  }
  if (lengths.size() > 1 || (lengths.size() == 1 && lengths[0].find(',') != std::string::npos)) {
    return fail(ErrorCode::invalid_request, "Content-Length is given more than once");
  }
  if (encodings.size() > 1 ||
      (encodings.size() == 1 && !equal_ignoring_case(encodings[0], "chunked"))) {
    return fail(ErrorCode::invalid_request, "the only Transfer-Encoding supported is chunked");
  }
  if (!encodings.empty() && version < 11) {
    return fail(ErrorCode::invalid_request, "HTTP/1.0 has no Transfer-Encoding");
  }
  return {};
}

// Fills path and query from the target: "/path?query", "http://host/path" or "*".
Result<void> read_target(Request& request) {
  std::string_view target = request.target;
  if (const std::size_t scheme = target.find("://");
      !target.starts_with('/') && scheme != std::string_view::npos) {
    target.remove_prefix(scheme + 3);
    target.remove_prefix(std::min(target.find_first_of("/?"), target.size()));
    request.target = target.starts_with('/') ? std::string(target) : "/" + std::string(target);
    target = request.target;
  }
  if (!target.starts_with('/') && !(target == "*" && request.method == "OPTIONS")) {
    return fail(ErrorCode::invalid_request, "the target \"{}\" is not a path",
                target.substr(0, 100));
  }
  target = target.substr(0, target.find('#'));
  const std::size_t question = std::min(target.find('?'), target.size());
  auto path = percent_decode(target.substr(0, question));
  if (!path) return fail(std::move(path).error().context("the path is malformed"));
  request.path = *std::move(path);
  auto query = Query::parse(target.substr(std::min(question + 1, target.size())));
  if (!query) return fail(std::move(query).error().context("the query is malformed"));
  request.query = *std::move(query);
  return {};
}

}  // namespace

struct RequestParser::Impl {
  explicit Impl(Bytes head_limit) : parser(head_limit) {}
  Parser<true> parser;
  Request request;
};

RequestParser::RequestParser(Bytes head_limit) : impl_(std::make_unique<Impl>(head_limit)) {}
RequestParser::~RequestParser() = default;

Result<ParseStep> RequestParser::advance(std::string_view input) {
  auto& parser = impl_->parser;
  std::size_t blank = 0;  // empty lines before a request are skipped (RFC 9112, 2.2)
  if (!parser.got_some()) {
    while (input.starts_with("\r\n")) {
      input.remove_prefix(2);
      blank += 2;
    }
    if (input == "\r") input = {};
  }
  auto step = parser.advance(input);
  if (!step) return step;
  step->consumed += blank;
  if (step->kind != ParseStep::Kind::head) return step;
  // Folded lines (obsolete, RFC 9112, 5.2) are read as one by some, as two by others.
  const std::string_view head = input.substr(0, step->consumed - blank);
  if (head.find("\r\n ") != std::string_view::npos ||
      head.find("\r\n\t") != std::string_view::npos) {
    return fail(ErrorCode::invalid_request, "folded header lines are not supported");
  }
  Request& request = impl_->request;
  request.method = std::move(parser.method);
  request.target = std::move(parser.target);
  request.headers = std::move(parser.headers);
  BERTH_CHECK(check_framing(request.headers, parser.version));
  const std::size_t hosts = request.headers.get_all("host").size();
  if (hosts > 1 || (hosts == 0 && parser.version >= 11)) {
    return fail(ErrorCode::invalid_request, "a request names one Host, this one {}", hosts);
  }
  BERTH_CHECK(read_target(request));
  return step;
}

Request& RequestParser::request() { return impl_->request; }
bool RequestParser::keep_alive() const { return impl_->parser.keep_alive(); }
bool RequestParser::is_http_1_0() const { return impl_->parser.version < 11; }
bool RequestParser::expects_continue() const {
  return !is_http_1_0() && impl_->request.headers.has_token("expect", "100-continue");
}
bool RequestParser::done() const { return impl_->parser.is_done(); }
std::uint64_t RequestParser::content_length() const {
  return impl_->parser.content_length().value_or(0);
}

struct ResponseParser::Impl {
  explicit Impl(Bytes head_limit) : parser(head_limit) {}
  Parser<false> parser;
};

ResponseParser::ResponseParser(Bytes head_limit, bool head_request)
    : impl_(std::make_unique<Impl>(head_limit)) {
  impl_->parser.skip(head_request);
}
ResponseParser::~ResponseParser() = default;

Result<ParseStep> ResponseParser::advance(std::string_view input) {
  auto step = impl_->parser.advance(input);
  if (!step || step->kind != ParseStep::Kind::head) return step;
  const Headers& fields = impl_->parser.headers;
  if (fields.contains("transfer-encoding")) BERTH_CHECK(check_framing(fields, 11));
  return step;
}

Result<void> ResponseParser::end_of_input() {
  error_code error = http::error::end_of_stream;
  if (impl_->parser.got_some() && !impl_->parser.is_done()) impl_->parser.put_eof(error);
  if (impl_->parser.is_done()) return {};
  return fail(ErrorCode::unavailable, "the connection ended in the middle of an answer");
}

int ResponseParser::status() const { return impl_->parser.status; }
Headers& ResponseParser::headers() { return impl_->parser.headers; }
bool ResponseParser::done() const { return impl_->parser.is_done(); }
bool ResponseParser::keep_alive() const {
  return impl_->parser.keep_alive() && !impl_->parser.need_eof();
}

}  // namespace berth::net
