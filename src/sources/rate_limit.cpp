#include "sources/rate_limit.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <set>
#include <string_view>

namespace berth::sources {
namespace {

constexpr std::uint64_t kLongest = 1'000'000;  // seconds; more than anybody waits

// One member of such a field: '"fixed window";"api";q=500;w=300'.
struct Member {
  std::set<std::string_view> names;
  std::map<std::string_view, std::uint64_t> numbers;
};

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// Takes what stands before the next `end` that is not quoted, and the `end`.
std::string_view take_until(std::string_view& text, char end) {
  bool is_quoted = false;
  std::size_t at = 0;
  for (; at < text.size() && (is_quoted || text[at] != end); ++at) {
    if (text[at] == '"') is_quoted = !is_quoted;
  }
  const std::string_view taken = text.substr(0, at);
  text.remove_prefix(std::min(at + 1, text.size()));
  return trimmed(taken);
}

Member read_member(std::string_view text) {
  Member member;
  while (!text.empty()) {
    std::string_view value = take_until(text, ';');
    if (value.starts_with('"')) {
      member.names.insert(value);
      continue;
    }
    const std::string_view name = take_until(value, '=');
    std::uint64_t number = 0;
    const auto* end = value.data() + value.size();
    const auto [stop, error] = std::from_chars(value.data(), end, number);
    if (error == std::errc() && stop == end) member.numbers[name] = number;
  }
  return member;
}

std::optional<std::uint64_t> number_of(const Member& member, std::string_view name) {
  const auto found = member.numbers.find(name);
  return found == member.numbers.end() ? std::nullopt : std::optional(found->second);
}

// The quota of a limit of one of these names.
void add_policy(RateLimit& limit, const Member& reached, std::string_view policies) {
  while (!policies.empty()) {
    const Member policy = read_member(take_until(policies, ','));
    const bool is_of_it = std::ranges::any_of(
        reached.names, [&](std::string_view name) { return policy.names.contains(name); });
    if (!is_of_it) continue;
    limit.quota = number_of(policy, "q").value_or(0);
    limit.seconds = number_of(policy, "w").value_or(0);
    return;
  }
}

}  // namespace

std::optional<RateLimit> reached_limit(const HttpHead& head) {
  std::optional<RateLimit> longest;
  std::string_view members = head.field("ratelimit");
  while (!members.empty()) {
    const Member member = read_member(take_until(members, ','));
    const auto reset = number_of(member, "t");
    if (number_of(member, "r") != 0 || !reset) continue;
    RateLimit limit{.reset = std::chrono::seconds(std::min(*reset, kLongest))};
    if (longest && longest->reset >= limit.reset) continue;
    add_policy(limit, member, head.field("ratelimit-policy"));
    longest = limit;
  }
  return longest;
}

}  // namespace berth::sources
