#include "worker/devices/smi_json.h"

#include <algorithm>
#include <cctype>
#include <optional>

namespace berth::worker::devices {
namespace {

constexpr std::size_t kMostCards = 256;

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

class Reader {
 public:
  explicit Reader(std::string_view text) : rest_(text) {}

  // Past the next `"cardN": {`; nothing where there is none.
  std::optional<std::uint32_t> next_card() {
    for (;;) {
      const auto at = rest_.find("\"card");
      if (at == std::string_view::npos) return std::nullopt;
      rest_.remove_prefix(at);
      const auto name = quoted();
      if (!name) return std::nullopt;
      const auto index = read_index(name->substr(4));
      if (index && skip(':') && skip('{')) return index;
    }
  }

  // The fields up to '}'; nothing where the text ends before, or holds something else.
  std::optional<SmiCard> card(std::uint32_t index) {
    SmiCard card{.index = index, .fields = {}};
    for (;;) {
      skip(',');
      if (skip('}')) return card;
      const auto name = quoted();
      if (!name || !skip(':')) return std::nullopt;
      const auto value = this->value();
      if (!value) return std::nullopt;
      card.fields.emplace(lower(*name), *value);
    }
  }

 private:
  bool skip(char wanted) {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size()));
    if (rest_.empty() || rest_.front() != wanted) return false;
    rest_.remove_prefix(1);
    return true;
  }

  std::optional<std::string_view> quoted() {
    if (!skip('"')) return std::nullopt;
    const auto end = rest_.find('"');
    if (end == std::string_view::npos) return std::nullopt;
    const auto text = rest_.substr(0, end);
    rest_.remove_prefix(end + 1);
    return text;
  }

  std::optional<std::string_view> value() {
    skip(' ');
    if (!rest_.empty() && rest_.front() == '"') return quoted();
    const auto end = rest_.find_first_of(",}\"{[\n");
    if (end == std::string_view::npos || rest_[end] == '{' || rest_[end] == '[') {
      return std::nullopt;
    }
    const auto text = trimmed(rest_.substr(0, end));
    rest_.remove_prefix(end);
    return text;
  }

  std::string_view rest_;
};

}  // namespace

std::string_view SmiCard::text(std::initializer_list<std::string_view> names) const {
  for (const auto name : names) {
    const auto found = fields.find(name);
    if (found != fields.end()) return found->second;
  }
  return {};
}

std::vector<SmiCard> read_smi_cards(std::string_view text) {
  std::vector<SmiCard> cards;
  Reader reader(text);
  while (const auto index = reader.next_card()) {
    auto card = reader.card(*index);
    const bool known = std::ranges::find(cards, *index, &SmiCard::index) != cards.end();
    if (card && !known) cards.push_back(*std::move(card));
    if (cards.size() == kMostCards) break;
  }
  return cards;
}

}  // namespace berth::worker::devices
