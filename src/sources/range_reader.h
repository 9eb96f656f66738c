// A file at the other end of an http(s) address, read by ranges: only the parts that are asked for
// are fetched, in blocks.
#pragma once

#include "formats/byte_source.h"
#include "sources/http_client.h"

#include <memory>
#include <string_view>

namespace berth::sources {

struct RangeOptions {
  HttpOptions http;
  // What is fetched at once: from the first to the largest, doubled while the reader goes on in
  // order, the first again where it jumps.
  Bytes first_block = 1_MiB;
  Bytes largest_block = 4_MiB;
};

// Opens the file and fetches its first block. Some four of the largest blocks are kept in memory,
// and one read as a whole.
//
// The server must serve ranges (HTTP 206) and tell the size; a file of up to 1 MiB may come as a
// whole. Its first ETag or Last-Modified, and its size, must stay: a file that changes meanwhile
// fails with conflict, and is never a mixture. (A server that tells neither is believed as long as
// the size stays.)
//
// Errors: as HttpClient::get; invalid_parameter for what is no address; corrupt (a wrong
// Content-Range, more or less than was asked for), unsupported (no ranges, an encoding). Those of
// the opening begin with the address, less its query; those of a read name the server.
Result<std::unique_ptr<formats::ByteSource>> open_url(std::string_view url,
                                                      const RangeOptions& options = {});
Result<std::unique_ptr<formats::ByteSource>> open_url(const Address& address,
                                                      const RangeOptions& options = {});

}  // namespace berth::sources
