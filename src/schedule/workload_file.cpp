#include "schedule/workload_file.h"

#include "backends/check.h"
#include "base/duration.h"
#include "text/documents.h"
#include "text/model_file.h"

#include <cmath>
#include <map>
#include <random>

namespace berth::schedule {
namespace {

constexpr std::size_t kMostArrivals = 1'000'000;

struct ModelEntry {
  std::string path;     // of its file or folder
  json::value model;    // or in a few words
  json::object deploy;  // members of a deployment
};
BOOST_DESCRIBE_STRUCT(ModelEntry, (), (path, model, deploy))

struct ArrivalEntry {
  std::string model;
  std::string at;
  std::uint32_t count = 1;
  std::string every;
  std::optional<double> per_hour;
  std::string from = "0s";
  std::string until;
  std::string stays;
};
BOOST_DESCRIBE_STRUCT(ArrivalEntry, (), (model, at, count, every, per_hour, from, until, stays))
constexpr FieldInfo kArrivalFields[] = {
    {.name = "model", .text = "one of those under models", .required = true},
    {.name = "count", .text = "how many at a time", .minimum = 1, .maximum = kMostArrivals},
    {.name = "per_hour",
     .text = "how many come in an hour, by chance",
     .minimum = 1e-6,
     .maximum = 1e9},
};
constexpr std::span<const FieldInfo> field_table(const ArrivalEntry*) { return kArrivalFields; }

struct WorkloadEntry {
  std::uint64_t seed = 1;
  std::map<std::string, ModelEntry> models;
  std::vector<ArrivalEntry> arrivals;
};
BOOST_DESCRIBE_STRUCT(WorkloadEntry, (), (seed, models, arrivals))

Error invalid(std::string field, std::string message) {
  return Error{.code = ErrorCode::invalid_parameter,
               .message = std::move(message),
               .field = std::move(field)};
}

Error below(Error error, const std::string& path) {
  auto field = error.field.empty() ? path : path + "." + error.field;
  return std::move(error).with_field(std::move(field));
}

// The same on every machine, unlike the distributions of the standard library.
class Chance {
 public:
  explicit Chance(std::uint64_t seed) : engine_(seed) {}
  // From 0 to less than 1.
  double uniform() { return static_cast<double>(engine_() >> 11U) * 0x1.0p-53; }
  Duration between(Duration least, Duration most) {
    const auto span = static_cast<double>((most - least).count());
    return least + Duration(static_cast<std::int64_t>(std::floor(span * uniform())));
  }
  Duration exponential(double mean) {
    return Duration(static_cast<std::int64_t>(-std::log(1 - uniform()) * mean));
  }

 private:
  std::mt19937_64 engine_;
};

Result<Duration> time_of(const std::string& text, const std::string& field) {
  auto time = parse_duration(text);
  if (time) return time;
  auto error = std::move(time).error();
  error.message = fmt::format("{} {}", field, error.message);
  return fail(std::move(error).with_field(field));
}

// How long instances stay: "10m", "5m to 20m", "about 10m" (exponential).
class Stay {
 public:
  static Result<Stay> parse(const std::string& text) {
    Stay stay;
    if (text.empty()) return stay;
    stay.leaves_ = true;
    constexpr std::string_view kTo = " to ";
    constexpr std::string_view kAbout = "about ";
    if (text.starts_with(kAbout)) {
      stay.by_chance_ = true;
      BERTH_TRY(stay.least_, time_of(text.substr(kAbout.size()), "stays"));
      return stay;
    }
    const auto to = text.find(kTo);
    BERTH_TRY(stay.least_, time_of(text.substr(0, to), "stays"));
    stay.most_ = stay.least_;
    if (to == std::string::npos) return stay;
    BERTH_TRY(stay.most_, time_of(text.substr(to + kTo.size()), "stays"));
    if (stay.most_ < stay.least_) {
      return fail(
          invalid("stays", fmt::format("stays must not end before it begins (got \"{}\")", text)));
    }
    return stay;
  }

  std::optional<Duration> draw(Chance& chance) const {
    if (!leaves_) return std::nullopt;
    if (by_chance_) return chance.exponential(static_cast<double>(least_.count()));
    return least_ == most_ ? least_ : chance.between(least_, most_);
  }

 private:
  bool leaves_ = false;
  bool by_chance_ = false;
  Duration least_{0};
  Duration most_{0};
};

Result<SimulatedModel> model_of(const std::string& name, const ModelEntry& entry,
                                const backends::Registry& registry, const ReadProfile& read) {
  SimulatedModel model;
  if (entry.path.empty() == entry.model.is_null()) {
    return fail(invalid("", "a model has either a path, or model: {layers: 32, layer: 200MiB}"));
  }
  json::object written = entry.deploy;
  written["name"] = name;
  if (entry.path.empty()) {
    auto profile = text::profile_of(entry.model);
    if (!profile) return fail(below(std::move(profile).error(), "model"));
    model.profile = *std::move(profile);
    written["source"] = model.profile.files.front().path;
  } else {
    auto profile = read(entry.path);
    if (!profile) {
      auto error = std::move(profile).error();
      error.code = ErrorCode::invalid_parameter;  // of this file, whatever it is of the model's
      return fail(std::move(error).with_field("path"));
    }
    model.profile = *std::move(profile);
    written["source"] = entry.path;
  }
  auto deployment = from_json<model::Deployment>(written, UnknownMembers::refuse);
  if (!deployment) return fail(below(std::move(deployment).error(), "deploy"));
  model.deployment = *std::move(deployment);
  if (auto valid = model::validate(model.deployment); !valid) {
    return fail(below(std::move(valid).error(), "deploy"));
  }
  if (!model.deployment.categories.empty()) {
    model.profile.category = model.deployment.categories.front();
  }
  auto choice = backends::choose_backend(registry, model.profile, model.deployment.backend);
  if (!choice) return fail(std::move(choice).error().with_field("model"));
  model.backend = choice->backend;
  auto checked = backends::check_deployment(*model.backend, model.deployment, model.profile);
  if (!checked) return fail(below(std::move(checked).error(), "deploy"));
  model.parameters = std::move(checked->parameters);
  return model;
}

class Reader {
 public:
  Reader(const WorkloadEntry& entry, const backends::Registry& backends, const ReadProfile& read)
      : entry_(entry), backends_(backends), read_(read), chance_(entry.seed) {}

  Result<Workload> run() {
    std::map<std::string, std::size_t> positions;
    for (const auto& [name, entry] : entry_.models) {
      auto model = model_of(name, entry, backends_, read_);
      if (!model) return fail(below(std::move(model).error(), "models." + name));
      positions[name] = workload_.models.size();
      workload_.models.push_back(*std::move(model));
    }
    for (std::size_t i = 0; i < entry_.arrivals.size(); ++i) {
      const auto& arrival = entry_.arrivals[i];
      const auto path = fmt::format("arrivals[{}]", i);
      const auto found = positions.find(arrival.model);
      if (found == positions.end()) {
        return fail(invalid(path + ".model",
                            fmt::format("no model is named \"{}\" under models", arrival.model)));
      }
      if (auto added = add(arrival, found->second); !added) {
        return fail(below(std::move(added).error(), path));
      }
    }
    for (const auto& [at, arrival] : arrivals_) workload_.arrivals.push_back(arrival);
    return std::move(workload_);
  }

 private:
  Result<void> add(const ArrivalEntry& entry, std::size_t model) {
    const int ways =
        (entry.at.empty() ? 0 : 1) + (entry.every.empty() ? 0 : 1) + (entry.per_hour ? 1 : 0);
    if (ways != 1) {
      return fail(invalid("", "an arrival has one of at: 10s, every: 30s, and per_hour: 120"));
    }
    auto stay = Stay::parse(entry.stays);
    if (!stay) return fail(std::move(stay).error());
    if (!entry.at.empty()) {
      BERTH_TRY(const auto at, time_of(entry.at, "at"));
      return add_at(at, entry, model, *stay);
    }
    BERTH_TRY(const auto from, time_of(entry.from, "from"));
    if (entry.until.empty()) {
      return fail(invalid("until", "until must say when no more of it come, such as 1h"));
    }
    BERTH_TRY(const auto until, time_of(entry.until, "until"));
    if (entry.per_hour) return add_by_chance(from, until, entry, model, *stay);
    BERTH_TRY(const auto every, time_of(entry.every, "every"));
    if (every == Duration(0)) return fail(invalid("every", "every must be at least 1s"));
    for (auto at = from; at < until; at += every) {
      BERTH_CHECK(add_at(at, entry, model, *stay));
    }
    return {};
  }

  Result<void> add_by_chance(Duration from, Duration until, const ArrivalEntry& entry,
                             std::size_t model, const Stay& stay) {
    constexpr double kHour = 3'600'000;  // milliseconds
    const double mean = kHour / *entry.per_hour;
    for (auto at = from + chance_.exponential(mean); at < until; at += chance_.exponential(mean)) {
      BERTH_CHECK(add_at(at, entry, model, stay));
    }
    return {};
  }

  Result<void> add_at(Duration at, const ArrivalEntry& entry, std::size_t model, const Stay& stay) {
    for (std::uint32_t i = 0; i < entry.count; ++i) {
      if (arrivals_.size() == kMostArrivals) {
        return fail(invalid("", fmt::format("there are more than {} arrivals; let them end sooner, "
                                            "or come less often",
                                            kMostArrivals)));
      }
      arrivals_.emplace(at, Arrival{.at = at, .model = model, .stays = stay.draw(chance_)});
    }
    return {};
  }

  const WorkloadEntry& entry_;
  const backends::Registry& backends_;
  const ReadProfile& read_;
  Chance chance_;
  std::multimap<Duration, Arrival> arrivals_;  // at one time in the order of the file
  Workload workload_;
};

}  // namespace

Result<Workload> read_workload(std::string_view content, std::string_view file,
                               const backends::Registry& backends, const ReadProfile& read) {
  BERTH_TRY(const auto document, text::parse_only(content, file));
  auto entry = from_json<WorkloadEntry>(document.value, UnknownMembers::refuse);
  if (!entry) return fail(text::at_line(std::move(entry).error(), document, file));
  if (entry->arrivals.empty()) {
    return fail(ErrorCode::invalid_parameter,
                "{} has no arrivals; one is such as {{model: chat, at: 0s, stays: 10m}}", file);
  }
  auto workload = Reader(*entry, backends, read).run();
  if (workload) return workload;
  return fail(text::at_line(std::move(workload).error(), document, file));
}

}  // namespace berth::schedule
