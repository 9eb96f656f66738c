// Readings: what a tool said of one device, before anybody believes it. Pure; thread-safe.
#pragma once

#include "base/json.h"
#include "worker/devices/vendor.h"

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace berth::worker::devices {

struct Reading {
  model::Device device;          // what is text; with index and kind
  std::optional<double> memory;  // bytes
  std::optional<double> used;    // bytes
  std::optional<double> utilisation;
  std::optional<double> temperature;
  std::optional<double> power;
};

// The device with those figures that can be. The others are left out, each with a warning: memory
// of 0 or beyond 16 TiB, more used than there is, a temperature beyond -50 to 150 degrees, a
// utilisation beyond 100 %, a power beyond 5 kW. Without `used` it is not `measured`. Gives it the
// id "cuda:0" where it has none. Text is cut to what a name may be.
model::Device believe(Reading reading, std::vector<std::string>& warnings);

// What somebody else's memory may be: nothing where `bytes` can not be an amount of it.
std::optional<Bytes> believe_memory(double bytes);

// A number at the start of `text`, whatever follows it ("66641MiB", "52C", "178.5 W"). Nothing for
// an empty text, "-", "N/A" and the like. With a warning, nothing where it is no number.
std::optional<double> read_figure(std::string_view text, std::string_view what,
                                  std::vector<std::string>& warnings);

std::string_view trimmed(std::string_view text);
// Parts between blanks.
std::vector<std::string_view> words_of(std::string_view text);
// Without their ends. A last line that has none was cut off, and is left out.
std::vector<std::string_view> lines_of(std::string_view text);
// The cells of a table's row, "| a | b |", trimmed; empty where the line is none.
std::vector<std::string_view> cells_of(std::string_view line);
// "64MiB / 32768MiB", used and in all; both are left out where there is no such pair. In MiB, given
// as bytes.
struct MemoryPair {
  std::optional<double> used;
  std::optional<double> memory;
};
MemoryPair read_memory_pair(std::string_view text, std::string_view what,
                            std::vector<std::string>& warnings);
// What follows `label` up to the next blank: "4.3.8" after "Driver Version:". Empty without it.
std::string_view word_after(std::string_view text, std::string_view label);
// Digits and nothing else.
std::optional<std::uint32_t> read_index(std::string_view text);
// A member that is a text; empty where it is none, or not there.
std::string text_of(const json::object& object, std::string_view name);
// "00000000:2A:00.0" as the kernel writes it: "0000:2a:00.0". Empty where it is no such address.
std::string pci_address(std::string_view text);

}  // namespace berth::worker::devices
