#include "sources/hub/request.h"

#include <algorithm>
#include <charconv>

namespace berth::sources {
namespace {

constexpr Bytes kLongestAnswer = 16_MiB;

// Keeps a whole answer.
class TextSink final : public HttpSink {
 public:
  Result<void> begin(const HttpHead& head) override {
    text_.clear();
    host_ = head.host;
    const std::string_view length = head.field("content-length");
    expected_.reset();
    std::uint64_t count = 0;
    const auto [end, error] = std::from_chars(length.data(), length.data() + length.size(), count);
    if (!length.empty() && error == std::errc()) expected_ = count;
    return {};
  }
  Result<void> take(std::span<const std::byte> bytes) override {
    if (Bytes{text_.size() + bytes.size()} > kLongestAnswer) {
      return fail(ErrorCode::too_large, "{} answers with more than {}", host_, kLongestAnswer);
    }
    for (const std::byte byte : bytes) text_ += static_cast<char>(byte);
    return {};
  }
  [[nodiscard]] bool is_complete() const override {
    return !expected_ || *expected_ == text_.size();
  }

  std::string take_text() { return std::move(text_); }

 private:
  std::string host_;
  std::string text_;
  std::optional<std::uint64_t> expected_;
};

bool is_hex(std::string_view text, std::size_t length) {
  return text.size() == length && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace

Result<HubAnswer> ask_hub(const HubName& name, const HubSettings& settings, const std::string& url,
                          std::string_view accepted) {
  BERTH_TRY(auto address, parse_address(url));
  BERTH_TRY(auto client, HttpClient::open(address, http_options_for(name, settings)));
  TextSink sink;
  auto head = client.get({fmt::format("Accept: {}", accepted)}, sink);
  if (!head) {
    Error error = std::move(head).error();
    if (error.field.empty()) error.message = fmt::format("{}: {}", to_text(name), error.message);
    return fail(std::move(error));
  }
  HubAnswer answer{.head = *std::move(head), .text = sink.take_text(), .value = {}};
  auto value = parse_json(answer.text);
  if (!value) {
    return fail(ErrorCode::corrupt, "{}: {} does not answer as {} does: {}", to_text(name),
                client.host(), title_of(name.hub), value.error().message);
  }
  answer.value = *std::move(value);
  return answer;
}

std::string encoded(std::string_view text, std::string_view kept) {
  std::string out;
  for (const char c : text) {
    const bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_' || c == '~';
    if (is_plain || kept.find(c) != std::string_view::npos) {
      out += c;
    } else {
      out += fmt::format("%{:02X}", static_cast<unsigned char>(c));
    }
  }
  return out;
}

std::string text_member(const json::value& value, std::string_view name) {
  const auto* object = value.if_object();
  const auto* member = object == nullptr ? nullptr : object->if_contains(name);
  const auto* text = member == nullptr ? nullptr : member->if_string();
  return text == nullptr ? std::string() : std::string(*text);
}

std::optional<Bytes> size_member(const json::value& value, std::string_view name) {
  const auto* object = value.if_object();
  const auto* member = object == nullptr ? nullptr : object->if_contains(name);
  if (member == nullptr || !member->is_number()) return std::nullopt;
  boost::system::error_code error;
  const auto count = member->to_number<std::uint64_t>(error);
  if (error || count > (1ULL << 53)) return std::nullopt;
  return Bytes{count};
}

bool is_sha256(std::string_view text) { return is_hex(text, 64); }

bool is_commit(std::string_view text) { return is_hex(text, 40); }

Result<HubListing> checked(HubListing listing) {
  const std::string_view host = title_of(listing.name.hub);
  std::ranges::sort(listing.files, {}, &HubFile::path);
  if (listing.files.size() > kMostHubFiles) {
    return fail(about_source(ErrorCode::too_large, "{}: it holds more than {} files",
                             to_text(listing.name), kMostHubFiles));
  }
  for (std::size_t i = 0; i < listing.files.size(); ++i) {
    const std::string& path = listing.files[i].path;
    if (!is_repository_path(path)) {
      return fail(about_source(ErrorCode::corrupt,
                               "{}: {} lists a file \"{}\", which is no path inside a repository; "
                               "nothing of it is read",
                               to_text(listing.name), host, sources::quoted(path)));
    }
    if (i > 0 && listing.files[i - 1].path == path) {
      return fail(about_source(ErrorCode::corrupt, "{}: {} lists the file \"{}\" twice",
                               to_text(listing.name), host, sources::quoted(path)));
    }
  }
  return listing;
}

std::string own_words(std::string_view text) {
  return text.empty() ? "" : fmt::format(" (it says: {})", sources::quoted(text));
}

}  // namespace berth::sources
