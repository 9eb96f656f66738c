#include "text/cluster_file.h"

#include "text/cluster_devices.h"
#include "text/documents.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

namespace berth::text {
namespace {

constexpr std::size_t kMostWorkers = 20'000;

struct WorkerEntry {
  std::string name;
  std::string of;  // a template
  std::optional<std::uint32_t> count;
  std::string os = "linux";
  std::string arch = "amd64";
  std::uint32_t cores = 8;
  Bytes memory;
  Bytes used;
  Bytes reserved;
  std::map<std::string, std::string> labels;
  model::WorkerState state = model::WorkerState::ready;
  std::string reason;
  model::Scheduling scheduling = model::Scheduling::open;
  std::string host;
  json::value gpus;
  std::optional<std::vector<json::value>> packs;
};
BOOST_DESCRIBE_STRUCT(WorkerEntry, (),
                      (name, of, count, os, arch, cores, memory, used, reserved, labels, state,
                       reason, scheduling, host, gpus, packs))
constexpr FieldInfo kWorkerFields[] = {
    {.name = "count", .text = "how many of it", .minimum = 1, .maximum = kMostWorkers},
};
constexpr std::span<const FieldInfo> field_table(const WorkerEntry*) { return kWorkerFields; }

// What an instance has of one worker.
struct PartEntry {
  std::string worker;
  std::map<std::string, Bytes> claims;  // by the device's id
  std::map<std::string, Bytes> used;
};
BOOST_DESCRIBE_STRUCT(PartEntry, (), (worker, claims, used))
constexpr FieldInfo kPartFields[] = {
    {.name = "worker", .text = "the worker that it runs on", .required = true},
    {.name = "claims", .text = "what it claims of each device: {cuda:0: 8GiB}", .required = true},
};
constexpr std::span<const FieldInfo> field_table(const PartEntry*) { return kPartFields; }

struct InstanceEntry {
  std::string model;
  std::string name;
  std::string worker;
  std::map<std::string, Bytes> claims;
  std::map<std::string, Bytes> used;
  std::vector<PartEntry> also;  // on other workers
};
BOOST_DESCRIBE_STRUCT(InstanceEntry, (), (model, name, worker, claims, used, also))
constexpr FieldInfo kInstanceFields[] = {
    {.name = "model", .text = "the name of its deployment", .required = true},
    {.name = "worker", .text = "the worker that it runs on", .required = true},
    {.name = "claims", .text = "what it claims of each device: {cuda:0: 8GiB}", .required = true},
};
constexpr std::span<const FieldInfo> field_table(const InstanceEntry*) { return kInstanceFields; }

struct ClusterEntry {
  std::map<std::string, json::object> templates;
  json::value workers;
  std::vector<InstanceEntry> instances;
};
BOOST_DESCRIBE_STRUCT(ClusterEntry, (), (templates, workers, instances))

std::string text_of(const json::value& value) {
  const auto& text = value.get_string();
  return {text.data(), text.size()};
}

Error invalid(std::string field, std::string message) {
  return Error{.code = ErrorCode::invalid_parameter,
               .message = std::move(message),
               .field = std::move(field)};
}

Error below(Error error, std::string_view path) {
  const bool is_index = error.field.starts_with('[');
  auto field = fmt::format("{}{}{}", path, error.field.empty() || is_index ? "" : ".", error.field);
  return std::move(error).with_field(std::move(field));
}

template <class Names>
std::string named(const Names& names) {
  return names.empty() ? "there is none" : fmt::format("there is {}", fmt::join(names, ", "));
}

// ---- packs

// A flag may be its name alone.
json::object with_whole_flags(json::object pack) {
  auto* flags = pack.if_contains("flags");
  if (flags == nullptr || !flags->is_array()) return pack;
  for (auto& flag : flags->get_array()) {
    if (flag.is_string()) flag = json::object{{"flag", flag}};
  }
  return pack;
}

Result<model::PackStatus> pack_of(const json::value& value, const PackChoice& packs) {
  json::object entry;
  if (value.is_string()) {
    entry["name"] = value;
  } else if (value.is_object()) {
    entry = value.get_object();
  } else {
    return fail(invalid("", "a pack is its name, or an object with it"));
  }
  model::PackStatus status{.state = model::PackState::installed};
  if (const auto* state = entry.if_contains("state")) {
    auto read = from_json<model::PackState>(*state, UnknownMembers::refuse);
    if (!read) return fail(std::move(read).error().with_field("state"));
    status.state = *read;
    entry.erase("state");
  }
  if (const auto* reason = entry.if_contains("reason")) {
    auto read = from_json<std::string>(*reason, UnknownMembers::refuse);
    if (!read) return fail(std::move(read).error().with_field("reason"));
    status.reason = *std::move(read);
    entry.erase("reason");
  }
  const auto* name = entry.if_contains("name");
  if (name == nullptr || !name->is_string()) return fail(invalid("name", "a pack needs a name"));
  const auto known = std::ranges::find(packs.known, text_of(*name), &model::EnginePack::name);
  if (known != packs.known.end()) {
    json::object whole = to_json(*known).get_object();
    for (const auto& member : entry) whole[member.key()] = member.value();
    entry = std::move(whole);
  } else if (!entry.contains("backend")) {
    std::vector<std::string> names;
    names.reserve(packs.known.size());
    for (const auto& pack : packs.known) names.push_back(pack.name);
    return fail(invalid(
        "name", fmt::format("no engine pack is named \"{}\" ({}); one of your own needs at least "
                            "backend and runtimes",
                            text_of(*name), named(names))));
  }
  BERTH_TRY(status.pack, from_json<model::EnginePack>(with_whole_flags(std::move(entry)),
                                                      UnknownMembers::refuse));
  return status;
}

bool runs_on(const model::EnginePack& pack, const model::SystemFacts& system) {
  const auto platform = fmt::format("{}/{}", system.os, system.arch);
  return pack.platforms.empty() ||
         std::ranges::find(pack.platforms, platform) != pack.platforms.end();
}

// ---- workers

Result<model::WorkerView> view_of(const WorkerEntry& entry, const PackChoice& packs) {
  if (entry.memory == 0_B) return fail(invalid("memory", "a worker needs memory, such as 64GiB"));
  model::WorkerView view{.name = entry.name,
                         .state = entry.state,
                         .reason = entry.reason,
                         .scheduling = entry.scheduling,
                         .host = entry.host,
                         .system = {.os = entry.os,
                                    .arch = entry.arch,
                                    .cores = entry.cores,
                                    .threads = entry.cores,
                                    .memory = entry.memory},
                         .labels = entry.labels};
  view.devices.push_back({.device = {.id = "cpu",
                                     .kind = model::DeviceKind::cpu,
                                     .memory = entry.memory,
                                     .used = entry.used,
                                     .reserved = entry.reserved}});
  auto devices = devices_of(entry.gpus);
  if (!devices) return fail(below(std::move(devices).error(), "gpus"));
  for (auto& device : *devices) view.devices.push_back({.device = std::move(device)});
  if (!entry.packs) {
    for (const auto& pack : packs.usual) {
      if (!runs_on(pack, view.system)) continue;
      view.packs.push_back({.pack = pack, .state = model::PackState::installed});
    }
    return view;
  }
  for (std::size_t i = 0; i < entry.packs->size(); ++i) {
    auto pack = pack_of((*entry.packs)[i], packs);
    if (!pack) return fail(below(std::move(pack).error(), fmt::format("packs[{}]", i)));
    view.packs.push_back(*std::move(pack));
  }
  return view;
}

class Builder {
 public:
  Builder(const ClusterEntry& entry, const PackChoice& packs) : entry_(entry), packs_(packs) {}

  Result<model::ClusterView> build() {
    BERTH_CHECK(check_templates());
    const auto& workers = entry_.workers;
    if (workers.is_string()) {
      BERTH_CHECK(add(workers, "workers"));
    } else if (workers.is_array()) {
      const auto& list = workers.get_array();
      for (std::size_t i = 0; i < list.size(); ++i) {
        BERTH_CHECK(add(list[i], fmt::format("workers[{}]", i)));
      }
    } else if (!workers.is_null()) {
      return fail(invalid("workers", "workers must be a list, or a text such as \"50 of node\""));
    }
    for (std::size_t i = 0; i < entry_.instances.size(); ++i) {
      auto used = add_use(entry_.instances[i], i);
      if (!used) return fail(below(std::move(used).error(), fmt::format("instances[{}]", i)));
    }
    model::ClusterView cluster;
    for (auto& [name, worker] : workers_) cluster.add(std::move(worker));
    for (std::size_t i = 0; i < entry_.instances.size(); ++i) {
      const auto& instance = entry_.instances[i];
      cluster.apply(instance.model, placement_of(instance),
                    model::InstanceKey{name_of(instance, i), 1});
    }
    return cluster;
  }

 private:
  // An error in a template is told there, not where it is used.
  Result<void> check_templates() const {
    for (const auto& [name, value] : entry_.templates) {
      auto read = read_entry(json::value(value));
      if (!read) return fail(below(std::move(read).error(), "templates." + name));
      if (!read->of.empty() || !read->name.empty()) {
        return fail(invalid(fmt::format("templates.{}.{}", name, read->of.empty() ? "name" : "of"),
                            "a template has no name and is of no other; workers are"));
      }
    }
    return {};
  }

  static Result<WorkerEntry> read_entry(const json::value& value) {
    return from_json<WorkerEntry>(value, UnknownMembers::refuse);
  }

  // "50 of node".
  static Result<json::object> read_short(const std::string& text) {
    std::uint32_t count = 0;
    const auto* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, count);
    constexpr std::string_view kOf = " of ";
    const std::string_view rest(stop, static_cast<std::size_t>(end - stop));
    if (error != std::errc{} || !rest.starts_with(kOf) || rest.size() == kOf.size()) {
      return fail(invalid("", fmt::format("\"{}\" is no worker; write \"50 of TEMPLATE\", or an "
                                          "object with name and memory",
                                          text)));
    }
    return json::object{{"count", count}, {"of", rest.substr(kOf.size())}};
  }

  Result<void> add(const json::value& value, const std::string& path) {
    json::object own;
    if (value.is_string()) {
      auto read = read_short(text_of(value));
      if (!read) return fail(below(std::move(read).error(), path));
      own = *std::move(read);
    } else if (value.is_object()) {
      own = value.get_object();
    } else {
      return fail(invalid(path, "a worker is an object, or a text such as \"50 of node\""));
    }
    json::object whole = own;
    std::string from;
    if (const auto* of = own.if_contains("of"); of != nullptr && of->is_string()) {
      from = text_of(*of);
      const auto found = entry_.templates.find(from);
      if (found == entry_.templates.end()) {
        std::vector<std::string> names;
        names.reserve(entry_.templates.size());
        for (const auto& [name, ignored] : entry_.templates) names.push_back(name);
        return fail(
            invalid(path, fmt::format("there is no template \"{}\" ({})", from, named(names))));
      }
      whole = found->second;
      for (const auto& member : own) whole[member.key()] = member.value();
    }
    auto added = add_entry(json::value(std::move(whole)), from);
    if (added) return {};
    auto error = std::move(added).error();
    const auto first = error.field.substr(0, error.field.find_first_of(".["));
    const bool from_template =
        !from.empty() && !own.contains(first) && entry_.templates.at(from).contains(first);
    return fail(below(std::move(error), from_template ? "templates." + from : path));
  }

  Result<void> add_entry(const json::value& value, const std::string& from) {
    BERTH_TRY(auto entry, read_entry(value));
    if (entry.name.empty()) entry.name = from;
    if (entry.name.empty()) return fail(invalid("name", "a worker needs a name, or \"of\""));
    BERTH_TRY(const auto view, view_of(entry, packs_));
    if (!entry.count) return add_view(view);
    for (std::uint32_t i = 1; i <= *entry.count; ++i) {
      auto copy = view;
      copy.name = fmt::format("{}-{}", entry.name, i);
      BERTH_CHECK(add_view(std::move(copy)));
    }
    return {};
  }

  Result<void> add_view(model::WorkerView view) {
    const auto name = view.name;
    if (!workers_.try_emplace(name, std::move(view)).second) {
      return fail(invalid("name", fmt::format("there are two workers named \"{}\"", name)));
    }
    if (workers_.size() > kMostWorkers) {
      return fail(invalid("count", fmt::format("there are more than {} workers", kMostWorkers)));
    }
    return {};
  }

  // ---- instances

  static std::string name_of(const InstanceEntry& instance, std::size_t index) {
    return instance.name.empty() ? fmt::format("{}-{}", instance.model, index + 1) : instance.name;
  }

  static std::vector<PartEntry> parts_of(const InstanceEntry& instance) {
    std::vector<PartEntry> parts{
        {.worker = instance.worker, .claims = instance.claims, .used = instance.used}};
    parts.insert(parts.end(), instance.also.begin(), instance.also.end());
    return parts;
  }

  // What its processes use is a part of what is used of the devices.
  Result<void> add_use(const InstanceEntry& instance, std::size_t index) {
    const model::InstanceKey key{name_of(instance, index), 1};
    for (const auto& part : parts_of(instance)) {
      const auto worker = workers_.find(part.worker);
      if (worker == workers_.end()) {
        return fail(invalid("worker", fmt::format("there is no worker named \"{}\"", part.worker)));
      }
      auto& view = worker->second;
      for (const auto& [device, size] : part.claims) BERTH_CHECK(find(view, device, "claims"));
      for (const auto& [device, size] : part.used) {
        BERTH_TRY(auto* found, find(view, device, "used"));
        found->used += size;
        if (found->unified) view.devices.front().device.used += size;
        view.used_by[key][device] += size;
      }
    }
    return {};
  }

  static Result<model::Device*> find(model::WorkerView& view, const std::string& device,
                                     std::string_view field) {
    std::vector<std::string> ids;
    for (auto& one : view.devices) {
      if (one.device.id == device) return &one.device;
      ids.push_back(one.device.id);
    }
    return fail(invalid(fmt::format("{}.{}", field, device),
                        fmt::format("{} has no device {} ({})", view.name, device, named(ids))));
  }

  static model::Placement placement_of(const InstanceEntry& instance) {
    const auto claims = [](const PartEntry& part) {
      std::vector<model::DeviceClaim> devices;
      devices.reserve(part.claims.size());
      for (const auto& [device, size] : part.claims) {
        devices.push_back({.device = device, .weights = size});
      }
      return devices;
    };
    const auto parts = parts_of(instance);
    model::Placement placement{
        .worker = parts.front().worker,
        .claim = {.method = model::ClaimMethod::given, .devices = claims(parts.front())}};
    for (std::size_t i = 1; i < parts.size(); ++i) {
      placement.subordinates.push_back({.worker = parts[i].worker, .devices = claims(parts[i])});
    }
    return placement;
  }

  const ClusterEntry& entry_;
  const PackChoice& packs_;
  std::map<std::string, model::WorkerView> workers_;
};

}  // namespace

Result<model::ClusterView> cluster_of(const json::value& value, const PackChoice& packs) {
  if (value.is_null()) return model::ClusterView{};
  BERTH_TRY(const auto entry, from_json<ClusterEntry>(value, UnknownMembers::refuse));
  return Builder(entry, packs).build();
}

Result<model::ClusterView> read_cluster(std::string_view content, std::string_view file,
                                        const PackChoice& packs) {
  BERTH_TRY(const auto document, parse_only(content, file));
  if (document.value.is_null()) {
    return fail(ErrorCode::invalid_parameter,
                "{} is empty; a cluster has at least workers: [{{name: box, memory: 64GiB}}]",
                file);
  }
  auto cluster = cluster_of(document.value, packs);
  if (cluster) return cluster;
  return fail(at_line(std::move(cluster).error(), document, file));
}

}  // namespace berth::text
