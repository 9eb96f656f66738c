#include "base/log.h"

#include "base/clock.h"

#include <array>
#include <list>
#include <memory>
#include <mutex>
#include <string>

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/rotating_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

namespace berth {
namespace {

bool is_secret_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
         c == '-' || c == '.' || c == '~' || c == '+' || c == '/' || c == '=';
}

// Formats the message, then redacts the whole line.
class RedactingFormatter final : public spdlog::formatter {
 public:
  explicit RedactingFormatter(std::string pattern)
      : pattern_(pattern), inner_(std::move(pattern)) {}
  void format(const spdlog::details::log_msg& message, spdlog::memory_buf_t& out) override {
    spdlog::memory_buf_t line;
    inner_.format(message, line);
    const std::string clean = redact({line.data(), line.size()});
    out.append(clean.data(), clean.data() + clean.size());
  }
  [[nodiscard]] std::unique_ptr<spdlog::formatter> clone() const override {
    return std::make_unique<RedactingFormatter>(pattern_);
  }

 private:
  std::string pattern_;
  spdlog::pattern_formatter inner_;
};

constexpr const char* kPattern = "%Y-%m-%dT%H:%M:%S.%e%z %l %n: %v";
constexpr std::size_t kFileLimit = 4 << 20;
constexpr std::size_t kOldFiles = 2;

constexpr std::chrono::minutes kRepeatAfter{10};
constexpr std::size_t kTextsRemembered = 32;

// The texts of the last minutes, the newest first.
class RecentTexts {
 public:
  // False: it was there already.
  bool add(std::string_view text, SteadyTime now) {
    const std::lock_guard lock(mutex_);
    texts_.remove_if([&](const Told& told) { return now - told.at >= kRepeatAfter; });
    for (const Told& told : texts_) {
      if (told.text == text) return false;
    }
    texts_.push_front({std::string(text), now});
    if (texts_.size() > kTextsRemembered) texts_.pop_back();
    return true;
  }

 private:
  struct Told {
    std::string text;
    SteadyTime at;
  };
  std::mutex mutex_;
  std::list<Told> texts_;
};

}  // namespace

void log_error_sparingly(std::string_view text) {
  static RecentTexts recent;
  if (recent.add(text, real_clock().steady_now())) spdlog::error("{}", text);
}

void start_logging(std::string_view component, std::string_view level) {
  auto logger = std::make_shared<spdlog::logger>(std::string(component),
                                                 std::make_shared<spdlog::sinks::stderr_sink_mt>());
  logger->set_formatter(std::make_unique<RedactingFormatter>(kPattern));
  logger->set_level(spdlog::level::from_str(std::string(level)));
  logger->flush_on(spdlog::level::info);
  spdlog::set_default_logger(std::move(logger));
}

Result<void> keep_log(const std::filesystem::path& file) {
  try {
    auto sink = std::make_shared<spdlog::sinks::rotating_file_sink_mt>(file.string(), kFileLimit,
                                                                       kOldFiles);
    sink->set_formatter(std::make_unique<RedactingFormatter>(kPattern));
    spdlog::default_logger()->sinks().push_back(std::move(sink));
  } catch (const spdlog::spdlog_ex& error) {
    return fail(ErrorCode::io, "keeping a log in {}: {}", file.string(), error.what());
  }
  return {};
}

std::string redact(std::string_view text) {
  // `keep` characters of the marker stay readable; the run of secret characters behind is hidden.
  struct Marker {
    std::string_view text;
    std::size_t shortest;  // a shorter run is a word, not a secret
  };
  constexpr std::array<Marker, 6> markers = {Marker{"berth_", 20},  Marker{"hf_", 20},
                                             Marker{"Bearer ", 1},  Marker{"token=", 1},
                                             Marker{"api_key=", 1}, Marker{"password=", 1}};
  std::string out;
  out.reserve(text.size());
  std::size_t i = 0;
  while (i < text.size()) {
    bool hidden = false;
    for (const auto& marker : markers) {
      if (text.substr(i, marker.text.size()) != marker.text) continue;
      std::size_t end = i + marker.text.size();
      while (end < text.size() && is_secret_char(text[end])) ++end;
      if (end - i - marker.text.size() < marker.shortest) continue;
      out += marker.text;
      out += "***";
      i = end;
      hidden = true;
      break;
    }
    if (!hidden) out += text[i++];
  }
  return out;
}

}  // namespace berth
