#include "text/cluster_devices.h"

#include <cctype>
#include <charconv>
#include <map>

namespace berth::text {
namespace {

constexpr std::size_t kMostDevices = 64;  // of a worker

// One object of the list.
struct DeviceEntry {
  std::uint32_t count = 1;
  model::DeviceKind kind = model::DeviceKind::cuda;
  Bytes memory;
  Bytes used;
  Bytes reserved;
  bool unified = false;
  bool measured = true;
  std::string name;
  std::string capability;
  std::string driver;
  std::string runtime;
  std::string uuid;
  std::string address;
  std::string network_address;
  std::string mig;
};
BOOST_DESCRIBE_STRUCT(DeviceEntry, (),
                      (count, kind, memory, used, reserved, unified, measured, name, capability,
                       driver, runtime, uuid, address, network_address, mig))
constexpr FieldInfo kDeviceFields[] = {
    {.name = "count", .text = "how many of it", .minimum = 1, .maximum = kMostDevices},
    {.name = "memory", .text = "the memory of each, such as 24GiB", .required = true},
};
constexpr std::span<const FieldInfo> field_table(const DeviceEntry*) { return kDeviceFields; }

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

std::string text_of(const json::value& value) {
  const auto& text = value.get_string();
  return {text.data(), text.size()};
}

// Gives devices their ids, in the order of each kind.
class Numbered {
 public:
  Result<void> add(const DeviceEntry& entry) {
    for (std::uint32_t i = 0; i < entry.count; ++i) {
      BERTH_CHECK(add_one(entry));
      if (devices_.size() > kMostDevices) {
        return fail(ErrorCode::invalid_parameter, "a worker may have at most {} devices",
                    kMostDevices);
      }
    }
    return {};
  }
  std::vector<model::Device> take() { return std::move(devices_); }

 private:
  Result<void> add_one(const DeviceEntry& entry) {
    model::Device device{.kind = entry.kind,
                         .name = entry.name,
                         .index = next_[entry.kind]++,
                         .memory = entry.memory,
                         .used = entry.used,
                         .reserved = entry.reserved,
                         .unified = entry.unified,
                         .measured = entry.measured,
                         .uuid = entry.uuid,
                         .address = entry.address,
                         .network_address = entry.network_address,
                         .driver = entry.driver,
                         .runtime = entry.runtime,
                         .capability = entry.capability};
    device.id = fmt::format("{}:{}", enum_name(entry.kind), device.index);
    if (entry.mig.empty()) {
      devices_.push_back(std::move(device));
      return {};
    }
    return cut(std::move(device), entry.mig);
  }

  Result<void> cut(model::Device whole, const std::string& mig) {
    auto parts = parse_device_group(mig);
    if (!parts) return fail(std::move(parts).error().with_field("mig"));
    if (parts->memory * parts->count > whole.memory) {
      return fail(make_error(ErrorCode::invalid_parameter,
                             "mig: {} instances of {} are more than the {} of {}", parts->count,
                             parts->memory, whole.memory, whole.id)
                      .with_field("mig"));
    }
    for (std::uint32_t i = 0; i < parts->count; ++i) {
      auto part = whole;
      part.id = fmt::format("{}.{}", whole.id, i);
      part.part_of = whole.id;
      part.memory = parts->memory;
      part.uuid = fmt::format("MIG-{}", part.id);
      devices_.push_back(std::move(part));
    }
    return {};
  }

  std::map<model::DeviceKind, std::uint32_t> next_;
  std::vector<model::Device> devices_;
};

Result<DeviceEntry> entry_of(const json::value& value) {
  if (!value.is_string()) return from_json<DeviceEntry>(value, UnknownMembers::refuse);
  BERTH_TRY(const auto group, parse_device_group(text_of(value)));
  return DeviceEntry{.count = group.count, .kind = group.kind, .memory = group.memory};
}

Error below(Error error, std::size_t index) {
  auto field = fmt::format("[{}]{}{}", index, error.field.empty() ? "" : ".", error.field);
  return std::move(error).with_field(std::move(field));
}

}  // namespace

Result<DeviceGroup> parse_device_group(std::string_view text) {
  DeviceGroup group;
  std::string_view rest = trimmed(text);
  const auto last = rest.rfind(' ');
  const auto word = last == std::string_view::npos ? rest : rest.substr(last + 1);
  if (const auto kind = parse_enum<model::DeviceKind>(word)) {
    group.kind = *kind;
    rest = trimmed(rest.substr(0, rest.size() - word.size()));
  }
  std::uint32_t count = 0;
  const auto [stop, error] = std::from_chars(rest.data(), rest.data() + rest.size(), count);
  const auto behind = trimmed(rest.substr(static_cast<std::size_t>(stop - rest.data())));
  if (error == std::errc{} && behind.starts_with('x')) {
    group.count = count;
    rest = trimmed(behind.substr(1));
  }
  const auto memory = parse_bytes(rest);
  const bool is_accelerator = group.kind != model::DeviceKind::cpu;
  if (!memory || *memory == 0_B || group.count == 0 || group.count > kMostDevices ||
      !is_accelerator) {
    return fail(ErrorCode::invalid_parameter,
                "\"{}\" is no group of devices; write it as \"4 x 24GiB cuda\": 1 to {} of them, "
                "the memory of each, and one of {}",
                text, kMostDevices, enum_choices<model::DeviceKind>().substr(5));
  }
  group.memory = *memory;
  return group;
}

Result<std::vector<model::Device>> devices_of(const json::value& value) {
  Numbered devices;
  if (value.is_null()) return devices.take();
  if (!value.is_array()) {
    BERTH_TRY(const auto entry, entry_of(value));
    BERTH_CHECK(devices.add(entry));
    return devices.take();
  }
  const auto& list = value.get_array();
  for (std::size_t i = 0; i < list.size(); ++i) {
    auto entry = entry_of(list[i]);
    if (!entry) return fail(below(std::move(entry).error(), i));
    if (auto added = devices.add(*entry); !added) return fail(below(std::move(added).error(), i));
  }
  return devices.take();
}

}  // namespace berth::text
