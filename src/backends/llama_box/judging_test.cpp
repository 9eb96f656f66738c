#include "backends/llama_box/llama_box.h"

#include <gmock/gmock.h>

namespace berth::backends::llama_box {
namespace {

using enum model::ComputeRole;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

model::ModelProfile llama(std::uint32_t layers = 32) {
  model::ModelProfile profile;
  profile.format = model::FileFormat::gguf;
  profile.architecture = "llama";
  profile.context_length = 32768;
  profile.layer_count = layers;
  return profile;
}

std::vector<LayoutQuestion> questions(const std::vector<std::string>& flags, bool has_devices,
                                      std::uint32_t layers = 32) {
  const LlamaBox backend;
  const auto parameters = parse_parameters(backend.descriptor(), flags).value();
  return backend.layout_questions(llama(layers), parameters, has_devices);
}

// The layers of each device, question by question.
std::vector<std::vector<std::uint32_t>> layers_of(const std::vector<LayoutQuestion>& questions) {
  std::vector<std::vector<std::uint32_t>> out;
  for (const auto& question : questions) {
    auto& row = out.emplace_back();
    for (const auto& share : question.devices) row.push_back(share.layers);
  }
  return out;
}

using Row = std::vector<std::uint32_t>;

TEST(LayoutQuestions, AskForTheCpuAloneAndForThreeWaysWithDevices) {
  EXPECT_THAT(layers_of(questions({}, false)), ElementsAre(Row{}));
  EXPECT_THAT(layers_of(questions({}, true)), ElementsAre(Row{}, Row{16}, Row{33}, Row{17, 16}));
}

TEST(LayoutQuestions, AskOnlyForWhatTheFlagsAllow) {
  EXPECT_THAT(layers_of(questions({"--gpu-layers", "0"}, true)), ElementsAre(Row{}));
  EXPECT_THAT(layers_of(questions({"--gpu-layers", "5"}, true)), ElementsAre(Row{}, Row{5}));
  EXPECT_THAT(layers_of(questions({}, true, 0)), ElementsAre(Row{}, Row{1}));
}

TEST(LayoutQuestions, HaveTheContextAndSlotsThatWillBeServed) {
  const auto asked = questions({"--ctx-size", "4096"}, true);
  ASSERT_EQ(asked.size(), 4U);
  EXPECT_EQ(asked[0].serving.context, 4096U);
  EXPECT_EQ(asked[0].serving.slots, 1U);
  EXPECT_EQ(asked[1].serving.slots, 4U);
  EXPECT_THAT(questions({"--ctx-size", "1000000"}, true), IsEmpty()) << "more than it was trained";
}

// Role and MiB of each figure.
std::vector<std::pair<model::ComputeRole, std::uint64_t>> figures(const Row& layers,
                                                                  const LayoutAnswer& answer) {
  LayoutQuestion question{.serving = {.context = 4096, .slots = 2}, .devices = {}};
  for (const auto count : layers) question.devices.push_back({"device", count});
  std::vector<std::pair<model::ComputeRole, std::uint64_t>> out;
  for (const auto& figure : LlamaBox().compute_figures(llama(), question, answer)) {
    EXPECT_EQ(figure.context, 4096U);
    EXPECT_EQ(figure.slots, 2U);
    out.emplace_back(figure.role, figure.size.count >> 20U);
  }
  return out;
}

TEST(ComputeFigures, GiveEachBufferItsRole) {
  const LayoutAnswer alone{.devices = {}, .host = {.compute = 30_MiB}};
  EXPECT_THAT(figures({}, alone), ElementsAre(std::pair(cpu_alone, 30)));
  const LayoutAnswer one{.devices = {{.compute = 20_MiB}}, .host = {.compute = 5_MiB}};
  EXPECT_THAT(figures({33}, one),
              ElementsAre(std::pair(device_whole, 20), std::pair(host_whole, 5)));
  EXPECT_THAT(figures({16}, one),
              ElementsAre(std::pair(device_partly, 20), std::pair(host_partly, 5)));
  const LayoutAnswer two{.devices = {{.compute = 20_MiB}, {.compute = 40_MiB}},
                         .host = {.compute = 5_MiB}};
  EXPECT_THAT(figures({17, 16}, two),
              ElementsAre(std::pair(device_of_many, 40), std::pair(host_of_many, 5)));
}

TEST(ComputeFigures, SayWhereTheProjectorIs) {
  const LayoutAnswer alone{.devices = {}, .host = {.compute = 1_MiB, .projector = 9_MiB}};
  EXPECT_THAT(figures({}, alone),
              ElementsAre(std::pair(cpu_alone, 1), std::pair(projector_on_cpu, 9)));
  const LayoutAnswer device{.devices = {{.compute = 2_MiB, .projector = 8_MiB}}, .host = {}};
  EXPECT_THAT(figures({33}, device),
              ElementsAre(std::pair(device_whole, 2), std::pair(host_whole, 0),
                          std::pair(projector_on_device, 8)));
}

TEST(ComputeFigures, AreNoneWhereTheAnswerIsToAnotherQuestion) {
  EXPECT_THAT(figures({33}, {.devices = {}, .host = {.compute = 30_MiB}}), IsEmpty());
}

}  // namespace
}  // namespace berth::backends::llama_box
