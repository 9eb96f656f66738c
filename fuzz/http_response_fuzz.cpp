// Bytes as an engine may send them, through the client's parser, in pieces.
#include "net/message_parser.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using berth::net::ParseStep;
  if (size == 0) return 0;
  std::string_view bytes(reinterpret_cast<const char*>(data + 1), size - 1);
  const std::size_t piece = 1 + (data[0] >> 1U);
  berth::net::ResponseParser parser(berth::Bytes{4096}, (data[0] & 1U) != 0);
  std::string input;
  std::size_t given = 0;
  for (;;) {
    const auto step = parser.advance(input);
    if (!step || step->kind == ParseStep::Kind::end) return 0;
    given += step->body.size();
    if (given > size || step->consumed > input.size()) std::abort();
    input.erase(0, step->consumed);
    if (step->kind != ParseStep::Kind::need_more) continue;
    if (bytes.empty()) break;
    input += bytes.substr(0, piece);
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
  static_cast<void>(parser.end_of_input());
  return 0;
}
