// The tables under scenarios/: a cluster, a request, and the placement or the reasons that the
// rules ask for. The figures there are worked out by hand, from what the headers and documents say
// (scenarios/README.md shows how).
#include "backends/assumed_packs.h"
#include "backends/check.h"
#include "base/files.h"
#include "schedule/place.h"
#include "text/cluster_file.h"
#include "text/documents.h"
#include "text/model_file.h"

#include <algorithm>
#include <filesystem>
#include <set>

#include <gtest/gtest.h>

namespace berth::schedule {

struct ScenarioPlace {
  std::string worker;
  Stage stage = Stage::cpu;
  json::object layers;  // of each device, in the order that the engine sees them
  json::object claims;  // in all, of some devices
  std::optional<std::string> pack;
  std::optional<model::ClaimMethod> method;
  std::optional<std::uint32_t> context;
  std::optional<std::uint32_t> slots;
  std::optional<double> score;
  std::vector<std::string> warnings;  // a part of each
};
BOOST_DESCRIBE_STRUCT(ScenarioPlace, (),
                      (worker, stage, layers, claims, pack, method, context, slots, score,
                       warnings))

struct ScenarioRow {
  std::string name;
  json::value cluster;  // or the name of one
  json::value model;
  std::string backend = "llama-box";
  json::object asks;  // members of a deployment
  std::optional<ScenarioPlace> placed;
  std::optional<json::object> refused;  // by worker, each of its rejections; "all": of none
  json::object rejected;                // the same of some workers, where it is placed
  std::vector<std::string> says;        // parts of the sentences
};
BOOST_DESCRIBE_STRUCT(ScenarioRow, (),
                      (name, cluster, model, backend, asks, placed, refused, rejected, says))
inline constexpr FieldInfo kScenarioRowFields[] = {
    {.name = "name", .text = "what the row shows", .required = true},
};
constexpr std::span<const FieldInfo> field_table(const ScenarioRow*) { return kScenarioRowFields; }

struct ScenarioFile {
  std::map<std::string, json::value> clusters;
  std::map<std::string, json::value> models;
  std::vector<ScenarioRow> rows;
};
BOOST_DESCRIBE_STRUCT(ScenarioFile, (), (clusters, models, rows))

namespace {

namespace fs = std::filesystem;

fs::path folder() { return fs::path(BERTH_SOURCE_DIR) / "src/schedule/scenarios"; }

std::string text_of(const json::value& value) {
  if (!value.is_string()) return to_text(value);
  const auto& text = value.get_string();
  return {text.data(), text.size()};
}

std::vector<std::string> split(std::string_view text, std::string_view mark) {
  std::vector<std::string> parts;
  for (;;) {
    const auto at = text.find(mark);
    parts.emplace_back(text.substr(0, at));
    if (at == std::string_view::npos) return parts;
    text.remove_prefix(at + mark.size());
  }
}

// "1000MiB + 3 x 64MiB".
Bytes sum_of(std::string_view text) {
  Bytes sum;
  for (const auto& term : split(text, " + ")) {
    const auto factors = split(term, " x ");
    const auto size = parse_bytes(factors.back());
    if (!size) ADD_FAILURE() << text << ": " << size.error().to_string();
    const std::uint64_t count = factors.size() == 2 ? std::stoull(factors.front()) : 1;
    sum += size.value_or(Bytes{}) * count;
  }
  return sum;
}

// "device_memory cuda:0 needs 10GiB has 8GiB fits 1792": what the text leaves out may be anything.
void check_rejection(const Rejection& got, std::string_view wanted) {
  const auto fits = split(wanted, " fits ");
  const auto has = split(fits.front(), " has ");
  const auto needs = split(has.front(), " needs ");
  const auto words = split(needs.front(), " ");
  EXPECT_EQ(enum_name(got.code), words.front());
  if (words.size() > 1) {
    EXPECT_EQ(got.device, words[1]);
  }
  if (needs.size() > 1) {
    EXPECT_EQ(got.needed, sum_of(needs[1])) << "needs " << to_string(got.needed);
  }
  if (has.size() > 1) {
    EXPECT_EQ(got.available, sum_of(has[1])) << "has " << to_string(got.available);
  }
  if (fits.size() > 1) {
    EXPECT_EQ(got.fitting_context.value_or(0), std::stoul(fits[1]));
  }
}

std::vector<std::string> list_of(const json::value& value) {
  std::vector<std::string> texts;
  if (value.is_array()) {
    for (const auto& one : value.get_array()) texts.push_back(text_of(one));
  } else {
    texts.push_back(text_of(value));
  }
  return texts;
}

void check_rejections(const Rejections& got, const json::object& wanted, bool all) {
  std::map<std::string, std::vector<const Rejection*>> by_worker;
  for (const auto& one : got) by_worker[one.worker.empty() ? "all" : one.worker].push_back(&one);
  for (const auto& member : wanted) {
    const std::string worker(member.key());
    const auto texts = list_of(member.value());
    const auto& own = by_worker[worker];
    ASSERT_EQ(own.size(), texts.size()) << worker << ": " << explain(got);
    for (std::size_t i = 0; i < own.size(); ++i) check_rejection(*own[i], texts[i]);
  }
  if (all) {
    EXPECT_EQ(by_worker.size(), wanted.size()) << explain(got);
  }
}

void check_layers(const model::Claim& claim, const json::object& wanted) {
  std::vector<std::string> got;
  if (claim.layers) {
    for (std::size_t i = 0; i < claim.layers->per_device.size(); ++i) {
      got.push_back(fmt::format("{} {}", claim.devices[i].device, claim.layers->per_device[i]));
    }
  }
  std::vector<std::string> expected;
  for (const auto& member : wanted) {
    expected.push_back(fmt::format("{} {}", std::string(member.key()), text_of(member.value())));
  }
  EXPECT_EQ(got, expected);
}

void check_place(const ScoredPlacement& got, const ScenarioPlace& wanted) {
  const auto& placement = got.placement;
  EXPECT_EQ(placement.worker, wanted.worker);
  EXPECT_EQ(enum_name(got.stage), enum_name(wanted.stage));
  check_layers(placement.claim, wanted.layers);
  for (const auto& member : wanted.claims) {
    const auto found = std::ranges::find(placement.claim.devices, std::string(member.key()),
                                         &model::DeviceClaim::device);
    ASSERT_NE(found, placement.claim.devices.end()) << std::string(member.key());
    EXPECT_EQ(found->total(), sum_of(text_of(member.value())))
        << std::string(member.key()) << " takes " << found->total().count << " B, "
        << to_text(to_json(*found));
  }
  if (wanted.pack) {
    EXPECT_EQ(placement.pack, *wanted.pack);
  }
  if (wanted.method) {
    EXPECT_EQ(placement.claim.method, *wanted.method);
  }
  if (wanted.context) {
    EXPECT_EQ(got.serving.context, *wanted.context);
  }
  if (wanted.slots) {
    EXPECT_EQ(got.serving.slots, *wanted.slots);
  }
  if (wanted.score) {
    EXPECT_NEAR(got.score, *wanted.score, 0.005);
  }
  ASSERT_EQ(got.warnings.size(), wanted.warnings.size());
  for (std::size_t i = 0; i < got.warnings.size(); ++i) {
    EXPECT_NE(got.warnings[i].find(wanted.warnings[i]), std::string::npos) << got.warnings[i];
  }
}

// What all rows together have shown.
struct Seen {
  std::size_t rows = 0;
  std::set<RejectionCode> codes;
  std::set<Stage> stages;
  std::set<std::string> names;
};

const json::value& named(const json::value& value, const std::map<std::string, json::value>& names,
                         const std::string& usual) {
  if (!value.is_null() && !value.is_string()) return value;
  const auto name = value.is_null() ? usual : text_of(value);
  const auto found = names.find(name);
  if (found != names.end()) return found->second;
  ADD_FAILURE() << "there is no \"" << name << "\" in the file";
  return value;
}

void check_row(const ScenarioRow& row, const ScenarioFile& file, Seen& seen) {
  const text::PackChoice packs{.known = {}, .usual = backends::assumed_packs()};
  const auto cluster = text::cluster_of(named(row.cluster, file.clusters, "usual"), packs);
  ASSERT_TRUE(cluster) << cluster.error().field << ": " << cluster.error().to_string();
  const auto profile = text::profile_of(named(row.model, file.models, "usual"));
  ASSERT_TRUE(profile) << profile.error().to_string();
  json::object written{{"name", "chat"}, {"source", "/models/m.gguf"}};
  for (const auto& member : row.asks) written[member.key()] = member.value();
  const auto deployment = from_json<model::Deployment>(written, UnknownMembers::refuse);
  ASSERT_TRUE(deployment) << deployment.error().to_string();
  const auto* backend = backends::builtin_backends().find(row.backend);
  ASSERT_NE(backend, nullptr) << row.backend;
  const auto parameters = backends::parse_parameters(backend->descriptor(), deployment->parameters);
  ASSERT_TRUE(parameters) << parameters.error().to_string();

  const auto got = place({*deployment, *profile, *backend, *parameters}, *cluster);
  const auto& rejections = got ? got->rejections : got.error();
  for (const auto& one : rejections) seen.codes.insert(one.code);
  if (got) seen.stages.insert(got->stage);
  const auto sentences = explain(rejections);
  for (const auto& words : row.says) {
    EXPECT_NE(sentences.find(words), std::string::npos) << "says: " << sentences;
  }
  ASSERT_NE(row.placed.has_value(), row.refused.has_value()) << "a row is placed or refused";
  if (row.placed) {
    ASSERT_TRUE(got) << sentences;
    check_place(*got, *row.placed);
    check_rejections(rejections, row.rejected, false);
  } else {
    ASSERT_FALSE(got) << to_text(to_json(got->placement));
    check_rejections(rejections, *row.refused, true);
  }
}

void check_file(const fs::path& path, Seen& seen) {
  const auto content = read_file(path);
  ASSERT_TRUE(content) << content.error().to_string();
  const auto document = text::parse_only(*content, path.filename().string());
  ASSERT_TRUE(document) << document.error().to_string();
  const auto file = from_json<ScenarioFile>(document->value, UnknownMembers::refuse);
  ASSERT_TRUE(file) << text::at_line(file.error(), *document, path.filename().string()).to_string();
  for (std::size_t i = 0; i < file->rows.size(); ++i) {
    const auto& row = file->rows[i];
    SCOPED_TRACE(fmt::format("{}, line {}: {}", path.filename().string(),
                             document->line_of(fmt::format("rows[{}]", i)), row.name));
    EXPECT_TRUE(seen.names.insert(row.name).second) << "two rows have this name";
    check_row(row, *file, seen);
    ++seen.rows;
  }
}

// What the tables must show at least once.
constexpr RejectionCode kCodes[] = {
    RejectionCode::no_workers,      RejectionCode::invalid_request,
    RejectionCode::not_wanted,      RejectionCode::worker_not_ready,
    RejectionCode::cordoned,        RejectionCode::label_mismatch,
    RejectionCode::platform,        RejectionCode::no_pack,
    RejectionCode::pack_lacks,      RejectionCode::unknown_device,
    RejectionCode::device_unusable, RejectionCode::offload_not_allowed,
    RejectionCode::device_memory,   RejectionCode::no_layer_fits,
    RejectionCode::host_memory,     RejectionCode::no_layout,
    RejectionCode::cpu_when_full,   RejectionCode::no_estimate,
};
constexpr Stage kStages[] = {Stage::one_device, Stage::several_devices, Stage::partial_offload,
                             Stage::cpu};

TEST(Scenarios, ArePlacedOrRefusedAsTheirTablesSay) {
  Seen seen;
  std::vector<fs::path> files;
  for (const auto& entry : fs::directory_iterator(folder())) {
    if (entry.path().extension() == ".yaml") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  for (const auto& path : files) check_file(path, seen);
  EXPECT_GE(seen.rows, 120U);
  for (const auto code : kCodes) {
    EXPECT_TRUE(seen.codes.contains(code)) << "no row shows " << enum_name(code);
  }
  for (const auto stage : kStages) {
    EXPECT_TRUE(seen.stages.contains(stage)) << "no row shows " << enum_name(stage);
  }
  RecordProperty("rows", static_cast<int>(seen.rows));
}

}  // namespace
}  // namespace berth::schedule
