// What Berth says of models that are published, from their configurations. The expected values are
// the publishers' and vLLM's figures or computed by hand, never what this code answered: where one
// differs, find out who is right. testdata/published/README.md says how to add a model.
#include "backends/backend.h"
#include "base/files.h"
#include "estimate/vllm.h"
#include "formats/ctranslate2_builder.h"
#include "formats/gguf_builder.h"
#include "formats/profile.h"

#include <algorithm>
#include <filesystem>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::server {

struct ExpectedModel {
  model::Category category = model::Category::llm;
  std::string backend;  // empty: none of this version
  std::uint32_t context = 0;
  std::uint32_t layers = 0;
  // Layers whose cache grows with each token, KV heads, lengths of a key and a value together.
  std::vector<std::uint64_t> token_cache = {0, 0, 0};
  bool unknown_cache = false;
  std::vector<std::uint32_t> window = {0, 0};     // tokens, layers
  std::vector<std::uint64_t> recurrent = {0, 0};  // layers, words of 32 bits in one's state
  std::vector<std::uint32_t> experts = {0, 0};    // all, used for a token
  std::optional<std::string> quantization;        // absent: none
  std::vector<model::Modality> inputs = {model::Modality::text};
  std::string pooling;
  std::vector<std::string> parts;
  std::optional<std::vector<std::uint64_t>> weights;  // bytes, files
};
BOOST_DESCRIBE_STRUCT(ExpectedModel, (),
                      (category, backend, context, layers, token_cache, unknown_cache, window,
                       recurrent, experts, quantization, inputs, pooling, parts, weights))

struct PublishedModel {
  std::string id;
  std::string source;  // where the figures come from
  // config.json, of which only the keys that matter are here; or the metadata of a GGUF file.
  std::optional<json::object> config;
  std::optional<json::object> gguf;
  // Others by path: JSON or text as it is, weights as their size (null: not known, so any).
  json::object files;
  ExpectedModel expected;
};
BOOST_DESCRIBE_STRUCT(PublishedModel, (), (id, source, config, gguf, files, expected))

struct PublishedModels {
  std::vector<PublishedModel> models;
};
BOOST_DESCRIBE_STRUCT(PublishedModels, (), (models))

namespace {

namespace fs = std::filesystem;
using ::testing::AnyOf;

constexpr std::uint64_t kAnySize = 4096;

// A folder with the files of a model. Weights are files with holes: as large as the published ones,
// with a true head and nothing behind it.
class ModelFolder {
 public:
  explicit ModelFolder(const PublishedModel& model) {
    std::string name = (fs::path(::testing::TempDir()) / "published-XXXXXX").native();
    folder_ = ::mkdtemp(name.data());
    if (model.gguf) add_gguf(*model.gguf);
    if (model.config) add("config.json", *model.config);
    for (const auto& [path, content] : model.files) add(std::string(path), content);
    if (model.config && !has_weights(model)) add("model.safetensors", nullptr);
  }
  ModelFolder(const ModelFolder&) = delete;
  ModelFolder& operator=(const ModelFolder&) = delete;
  ~ModelFolder() {
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  [[nodiscard]] const fs::path& path() const { return folder_; }

 private:
  static bool has_weights(const PublishedModel& model) {
    return std::ranges::any_of(model.files, [](const auto& file) {
      return file.value().is_null() || file.value().is_number();
    });
  }

  // One tensor over the whole file.
  static std::string safetensors_head(const std::string& name, std::uint64_t size) {
    std::string header;
    for (const std::uint64_t room : {256, 257}) {  // the data must be of whole elements
      const std::uint64_t data = size - 8 - room;
      if (data % 2 != 0) continue;
      header = to_text(json::object{{name,
                                     {{"dtype", "BF16"},
                                      {"shape", json::array{data / 2}},
                                      {"data_offsets", json::array{0, data}}}}});
      header.resize(room, ' ');
    }
    std::string head;
    for (std::size_t i = 0; i < 8; ++i) head += static_cast<char>(header.size() >> (8 * i));
    return head + header;
  }

  void add(const std::string& path, const json::value& content) {
    const fs::path place = folder_ / path;
    fs::create_directories(place.parent_path());
    std::ofstream file(place, std::ios::binary);
    if (content.is_object()) {
      file << to_text(content);
    } else if (content.is_string()) {
      file << std::string_view(content.get_string());
    } else {
      const auto size = content.is_null() ? kAnySize : content.to_number<std::uint64_t>();
      if (path.ends_with(".safetensors")) file << safetensors_head(path, size);
      if (path == "model.bin") file << formats::small_whisper();
      file.close();
      fs::resize_file(place, size);
    }
  }

  void add_gguf(const json::object& metadata) {
    formats::GgufBuilder builder;
    for (const auto& [key, value] : metadata) {
      if (value.is_string()) {
        builder.string(key, value.get_string());
      } else {
        builder.u32(key, value.to_number<std::uint32_t>());
      }
    }
    builder.tensor("token_embd.weight", {32, 8}, 1).write(folder_ / "model.gguf");
  }

  fs::path folder_;
};

std::vector<std::uint32_t> window_of(const model::ModelProfile& profile) {
  const auto& windowed = profile.attention.windowed;
  return {profile.attention.sliding_window,
          static_cast<std::uint32_t>(std::ranges::count(windowed, true))};
}

std::vector<std::uint64_t> recurrence_of(const model::ModelProfile& profile) {
  const auto& recurrent = profile.recurrent;
  return {static_cast<std::uint64_t>(std::ranges::count(recurrent.layers, true)),
          recurrent.state_elements};
}

std::string backend_of(const model::ModelProfile& profile) {
  const auto choice = backends::choose_backend(backends::builtin_backends(), profile, {});
  return choice ? std::string(choice->backend->descriptor().name) : "";
}

void expect_cache(const ExpectedModel& expected, const model::ModelProfile& profile) {
  EXPECT_EQ(expected.unknown_cache, !profile.unknown_cache.empty()) << profile.unknown_cache;
  if (expected.unknown_cache) return;
  constexpr std::uint64_t kBytes = 2;
  const auto& factors = expected.token_cache;
  const auto cache = estimate::vllm_token_cache(profile, {});
  ASSERT_TRUE(cache) << cache.error().to_string();
  EXPECT_EQ(cache->count, factors[0] * factors[1] * factors[2] * kBytes);
}

void expect_weights(const ExpectedModel& expected, const model::ModelProfile& profile) {
  if (!expected.weights) return;
  EXPECT_EQ(profile.total_size.count, expected.weights->at(0));
  EXPECT_EQ(profile.files.size(), expected.weights->at(1));
}

void expect_model(const ExpectedModel& expected, const model::ModelProfile& profile) {
  std::vector<std::string> parts;
  std::ranges::transform(profile.parts, std::back_inserter(parts), &model::ModelPart::name);
  EXPECT_EQ(enum_name(profile.category), enum_name(expected.category));
  EXPECT_EQ(backend_of(profile), expected.backend);
  EXPECT_EQ(profile.context_length, expected.context);
  EXPECT_EQ(profile.layer_count, expected.layers);
  EXPECT_EQ(window_of(profile), expected.window);
  EXPECT_EQ(recurrence_of(profile), expected.recurrent);
  EXPECT_EQ((std::vector{profile.experts, profile.experts_used}), expected.experts);
  if (expected.quantization) {
    EXPECT_EQ(profile.quantization, *expected.quantization);
  } else {
    EXPECT_THAT(profile.quantization, AnyOf("", profile.weight_type));
  }
  EXPECT_EQ(to_text(to_json(profile.inputs)), to_text(to_json(expected.inputs)));
  EXPECT_EQ(profile.pooling, expected.pooling);
  EXPECT_EQ(parts, expected.parts);
  expect_cache(expected, profile);
  expect_weights(expected, profile);
}

fs::path testdata() { return fs::path(BERTH_SOURCE_DIR) / "src/server/testdata/published"; }

std::vector<std::string> families() {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(testdata())) {
    if (entry.path().extension() == ".json") names.push_back(entry.path().stem().native());
  }
  std::ranges::sort(names);
  return names;
}

Result<PublishedModels> read_family(const std::string& name) {
  BERTH_TRY(const auto text, read_file(testdata() / (name + ".json")));
  BERTH_TRY(const auto value, parse_json(text));
  return from_json<PublishedModels>(value, UnknownMembers::refuse);
}

class Published : public ::testing::TestWithParam<std::string> {};

TEST_P(Published, ModelsAreWhatTheirPublishersSay) {
  const auto family = read_family(GetParam());
  ASSERT_TRUE(family) << family.error().to_string();
  ASSERT_FALSE(family->models.empty());
  for (const auto& model : family->models) {
    SCOPED_TRACE(model.id);
    EXPECT_FALSE(model.source.empty()) << "say where the figures come from";
    const ModelFolder folder(model);
    const auto profile = formats::profile_path(folder.path());
    if (!profile) {
      ADD_FAILURE() << profile.error().to_string();
    } else {
      expect_model(model.expected, *profile);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Models, Published, ::testing::ValuesIn(families()),
                         [](const auto& family) { return family.param; });

}  // namespace
}  // namespace berth::server
