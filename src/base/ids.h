// Random names and secrets, and how secrets are kept.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace berth {

// `length` characters of a-z0-9 from the operating system's random source, such as the end of an
// instance's name. No secret: some characters come a little more often.
std::string random_id(std::size_t length = 8);

// "berth_" and 256 random bits in base64url: an API key or an engine's key. A secret.
std::string random_key();

// SHA-256 as lower-case hexadecimal digits: what is stored of a key.
std::string sha256_hex(std::string_view text);

// Compares without telling by its duration where two texts differ.
bool equal_constant_time(std::string_view a, std::string_view b);

}  // namespace berth
