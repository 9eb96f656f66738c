#include "formats/read_once.h"

#include "formats/gguf_builder.h"
#include "formats/profile.h"
#include "formats/safetensors_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::formats {
namespace {

using testing::Each;
using testing::Pair;
using testing::UnorderedElementsAre;

using Files = std::map<std::string, std::string>;

// Notes what is opened, and how many bytes are read of each file.
class Watched final : public FileSet {
 public:
  explicit Watched(Files contents) : files_(files_in_memory(std::move(contents))) {}

  [[nodiscard]] std::string_view name() const override { return files_->name(); }
  [[nodiscard]] const std::vector<FileEntry>& files() const override { return files_->files(); }
  [[nodiscard]] std::string locate(std::string_view path) const override {
    return files_->locate(path);
  }
  [[nodiscard]] Result<std::unique_ptr<ByteSource>> open(std::string_view path) const override {
    BERTH_TRY(auto source, files_->open(path));
    ++opened[std::string(path)];
    return std::make_unique<Source>(std::move(source), read[std::string(path)]);
  }

  mutable std::map<std::string, int> opened;
  mutable std::map<std::string, std::uint64_t> read;

 private:
  class Source final : public ByteSource {
   public:
    Source(std::unique_ptr<ByteSource> source, std::uint64_t& read)
        : source_(std::move(source)), read_(read) {}
    [[nodiscard]] std::uint64_t size() const override { return source_->size(); }
    Result<std::span<const std::byte>> read(std::uint64_t offset, std::uint64_t length) override {
      read_ += length;
      return source_->read(offset, length);
    }

   private:
    std::unique_ptr<ByteSource> source_;
    std::uint64_t& read_;
  };

  std::unique_ptr<FileSet> files_;
};

std::string bytes_of(ByteSource& source, std::uint64_t offset, std::uint64_t length) {
  const auto bytes = source.read(offset, length);
  if (!bytes) return bytes.error().message;
  return {reinterpret_cast<const char*>(bytes->data()), bytes->size()};
}

TEST(ReadOnce, OpensAFileOnceForAllItsReaders) {
  const Watched watched({{"a", "0123456789"}});
  const auto files = read_once(watched);
  for (int i = 0; i < 3; ++i) EXPECT_EQ(read_text(*files, "a").value(), "0123456789");
  EXPECT_THAT(watched.opened, UnorderedElementsAre(Pair("a", 1)));
  EXPECT_THAT(watched.read, UnorderedElementsAre(Pair("a", 10)));
}

TEST(ReadOnce, ReadersDoNotDisturbEachOther) {
  const Watched watched({{"a", "0123456789"}});
  const auto files = read_once(watched);
  const auto one = files->open("a").value();
  const auto other = files->open("a").value();
  const auto kept = one->read(0, 4).value();
  EXPECT_EQ(bytes_of(*other, 6, 4), "6789");
  EXPECT_EQ(bytes_of(*other, 1, 3), "123");
  EXPECT_EQ(static_cast<char>(kept.front()), '0');
  EXPECT_EQ(bytes_of(*one, 7, 2), "78");
  EXPECT_EQ(watched.read.at("a"), 8U);
}

TEST(ReadOnce, WhatIsBeyondItsBoundsIsReadAnew) {
  Files many;
  for (int i = 0; i < 200; ++i) many[std::to_string(i)] = "x";
  many["large"] = std::string((64 << 20) + 1, 'y');
  const Watched watched(std::move(many));
  const auto files = read_once(watched);
  for (int round = 0; round < 2; ++round) {
    EXPECT_EQ(read_text(*files, "large", 1_GiB)->size(), (64U << 20) + 1);
    for (int i = 0; i < 200; ++i) EXPECT_EQ(read_text(*files, std::to_string(i)).value(), "x");
  }
  EXPECT_EQ(watched.opened.at("large"), 1);
  EXPECT_EQ(watched.read.at("large"), 2 * ((64ULL << 20) + 1));
  EXPECT_EQ(watched.opened.at("0"), 1);
  EXPECT_EQ(watched.opened.at("199"), 2);
}

TEST(ReadOnce, AFailureIsNotKept) {
  const Watched watched({{"a", "1"}});
  const auto files = read_once(watched);
  EXPECT_EQ(files->open("b").error().code, ErrorCode::not_found);
  EXPECT_EQ((*files->open("a"))->read(0, 2).error().code, ErrorCode::corrupt);
  EXPECT_EQ(read_text(*files, "a").value(), "1");
}

// Fails where the profile of `watched` opens a file twice, or reads more than all of one and the
// few bytes that tell its format.
void expect_read_once(const Watched& watched) {
  const auto profile = profile_files(watched);
  ASSERT_TRUE(profile) << profile.error().to_string();
  EXPECT_THAT(watched.opened, Each(Pair(testing::_, 1)));
  for (const auto& [path, count] : watched.read) {
    EXPECT_LE(count, watched.find(path)->size.count + 4096) << path;
  }
}

TEST(ProfileFiles, ReadsEachFileOfHuggingFacesLayoutOnce) {
  const Watched watched(
      {{"config.json",
        R"({"architectures": ["LlamaForCausalLM"], "model_type": "llama", "num_hidden_layers": 1,
            "hidden_size": 8, "num_attention_heads": 2})"},
       {"tokenizer_config.json", "{}"},
       {"model.safetensors",
        SafetensorsBuilder().bf16("model.layers.0.mlp.up_proj.weight", {8}).build()}});
  expect_read_once(watched);
  EXPECT_EQ(watched.read.at("config.json"), watched.find("config.json")->size.count);
}

TEST(ProfileFiles, ReadsEachGgufFileOnce) {
  expect_read_once(Watched({
      {"model-Q4_K_M.gguf", small_model().text()},
      {"mmproj-F16.gguf",
       GgufBuilder().string("general.architecture", "clip").tensor("v.blk.0.x", {4}).text()},
      {"config.json", "{}"},
  }));
}

TEST(ProfileFiles, ReadsEachPartOnce) {
  const auto part = [](GgufBuilder builder, std::uint16_t number) {
    return builder.u16("split.no", number).u16("split.count", 2).text();
  };
  expect_read_once(Watched({
      {"m-00001-of-00002.gguf", part(small_model(), 0)},
      {"m-00002-of-00002.gguf", part(GgufBuilder().tensor("blk.1.w", {8}), 1)},
  }));
}

}  // namespace
}  // namespace berth::formats
