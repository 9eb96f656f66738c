// Serialising the heads of HTTP messages and the frames of chunks. Internal to net.
#pragma once

#include "base/result.h"
#include "net/headers.h"

#include <cstddef>
#include <string>
#include <string_view>

namespace berth::net {

// "HTTP/1.1 200 OK", the fields, a Date where none is given, and the blank line.
std::string response_head(int status, const Headers& headers);

// Fails with invalid_request where method or target could break out of the request line.
Result<std::string> request_head(std::string_view method, std::string_view target,
                                 const Headers& headers);

// The size line of a chunk of `size` bytes; its data is followed by kChunkEnd.
std::string chunk_head(std::size_t size);
inline constexpr std::string_view kChunkEnd = "\r\n";
inline constexpr std::string_view kLastChunk = "0\r\n\r\n";

}  // namespace berth::net
