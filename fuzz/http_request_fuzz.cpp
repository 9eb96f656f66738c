// Bytes as a client may send them, through the server's parser and router, in two cuts: at once and
// in pieces. Both must find the same requests.
#include "net/message_parser.h"
#include "net/router.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace {

using berth::net::ParseStep;
using berth::net::RequestParser;

berth::net::Task<> nothing(berth::net::Exchange&) { co_return; }

const berth::net::Router& router() {
  static const berth::net::Router routes = [] {
    berth::net::Router made;
    made.add("GET", "/v1/models/{name}", nothing);
    made.add("POST", "/v1/{kind}/x", nothing);
    made.add("GET", "/assets/{rest...}", nothing);
    return made;
  }();
  return routes;
}

// The requests in `bytes`, as one text; feeds `piece` bytes at a time. Nothing where they are
// malformed.
std::optional<std::string> read(std::string_view bytes, std::size_t piece) {
  std::string found;
  std::string input;
  auto parser = std::make_unique<RequestParser>(berth::Bytes{4096});
  for (;;) {
    const auto step = parser->advance(input);
    if (!step) return std::nullopt;
    found += step->body;
    if (step->consumed > input.size()) std::abort();
    input.erase(0, step->consumed);
    if (step->kind == ParseStep::Kind::head) {
      const auto& request = parser->request();
      found += "\n" + request.method + " " + request.path + "\n";
      for (const auto& [name, value] : request.headers) found.append(name).append(value);
      static_cast<void>(router().match(request.method, request.target));
    } else if (step->kind == ParseStep::Kind::end) {
      found += ".";
      parser = std::make_unique<RequestParser>(berth::Bytes{4096});
    } else if (step->kind == ParseStep::Kind::need_more) {
      if (bytes.empty()) return found;
      input += bytes.substr(0, piece);
      bytes.remove_prefix(std::min(piece, bytes.size()));
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  const auto whole = read(bytes, bytes.size() + 1);
  const auto pieces = read(bytes, 1 + data[0]);
  // One cut may see a fault earlier than the other, never two different messages.
  if (whole && pieces && *whole != *pieces) std::abort();
  return 0;
}
