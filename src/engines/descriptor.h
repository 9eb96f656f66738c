// Reading a pack's descriptor (pack.toml; engines/README.md tells what each key means). Pure.
#pragma once

#include "base/result.h"
#include "engines/catalogue.h"

#include <string_view>

namespace berth::engines {

// Fails with invalid_parameter; the message names `source` and the key (also in `field`), or the
// line where the text is no TOML. The files that the recipe names are not looked at.
Result<CatalogueEntry> parse_descriptor(std::string_view text, std::string_view source);

// Whether the interpreter `version` ("3.11") fits `wanted`: conditions joined by commas, each of
// >=, >, <=, <, == with a version of two numbers; empty = any. False on a malformed condition.
bool python_fits(std::string_view wanted, std::string_view version);

}  // namespace berth::engines
