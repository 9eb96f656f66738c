// Logging for the long-running processes: one line an event, on standard error, through one
// redaction. Use spdlog's calls (spdlog::info, warn, error); this only sets them up.
#pragma once

#include "base/result.h"

#include <filesystem>
#include <string>
#include <string_view>

namespace berth {

// Sets the default logger: `component` stands in each line; `level` is trace … error.
// Call once, before other threads start.
void start_logging(std::string_view component, std::string_view level);

// From now on writes what is logged into `file` too, in an existing folder. At 4 MiB it becomes
// NAME.1.log, and that one NAME.2.log. Call once, after start_logging and before other threads
// start. Fails with io.
Result<void> keep_log(const std::filesystem::path& file);

// Logs an error that every attempt meets again (a full disk, a damaged database): the same text is
// not logged again within ten minutes. Thread-safe.
void log_error_sparingly(std::string_view text);

// `text` with every secret in it replaced by "***": our keys ("berth_…"), Hugging Face tokens
// ("hf_…"), and what follows "Bearer ", "token=", "api_key=" or "password=".
std::string redact(std::string_view text);

}  // namespace berth
