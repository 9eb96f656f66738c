#include "formats/gguf.h"

#include "formats/gguf_builder.h"

#include <functional>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

namespace berth::formats {
namespace {

using testing::HasSubstr;

Result<GgufFile> parse(GgufBuilder::Bytes bytes) {
  MemorySource source(std::move(bytes));
  return read_gguf(source, "m.gguf");
}

std::string failure(const GgufBuilder::Bytes& bytes) {
  const auto file = parse(bytes);
  return file ? "" : file.error().message;
}

TEST(GgufReader, ReadsVersions2And3) {
  for (const std::uint32_t version : {2U, 3U}) {
    GgufBuilder builder = small_model();
    builder.version = version;
    const auto file = parse(builder.build());
    ASSERT_TRUE(file) << file.error().to_string();
    EXPECT_EQ(file->version, version);
    EXPECT_EQ(find_string(file->metadata, "general.name"), "Small One");
    EXPECT_EQ(find_number(file->metadata, "llama.block_count"), 2U);
    ASSERT_EQ(file->tensors.size(), 8U);
    const GgufTensor& query = file->tensors[2];
    EXPECT_EQ(query.name, "blk.0.attn_q.weight");
    EXPECT_EQ(query.type.name, "Q4_K");
    EXPECT_EQ(query.elements, 256U * 64U);
    EXPECT_EQ(query.bytes, 64U * 144U);
    EXPECT_EQ(query.offset, file->data_offset + 128 * 32 * 2 + 128 * 4);
  }
}

TEST(GgufReader, KeepsShortListsOfNumbersAndOnlyCountsOthers) {
  const auto file = parse(GgufBuilder()
                              .u32_list("a", {1, 2, 3})
                              .bool_list("b", {true, false})
                              .string_list("c", 1000)
                              .u32_list("d", std::vector<std::uint32_t>(kKeptElements + 1, 7))
                              .build());
  ASSERT_TRUE(file) << file.error().to_string();
  EXPECT_THAT(find_array(file->metadata, "a")->numbers, testing::ElementsAre(1, 2, 3));
  EXPECT_THAT(find_array(file->metadata, "b")->numbers, testing::ElementsAre(1, 0));
  EXPECT_EQ(find_array(file->metadata, "c")->count, 1000U);
  EXPECT_TRUE(find_array(file->metadata, "c")->numbers.empty());
  EXPECT_EQ(find_array(file->metadata, "d")->count, kKeptElements + 1);
  EXPECT_TRUE(find_array(file->metadata, "d")->numbers.empty());
}

TEST(GgufReader, ReadsNumbersOfEveryWidthAndSign) {
  const auto file = parse(GgufBuilder()
                              .u16("u16", 65'535)
                              .i32("plus", 5)
                              .i32("minus", -5)
                              .u64("u64", ~0ULL)
                              .f32("float", std::numeric_limits<float>::quiet_NaN())
                              .boolean("yes", true)
                              .build());
  ASSERT_TRUE(file) << file.error().to_string();
  EXPECT_EQ(find_number(file->metadata, "u16"), 65'535U);
  EXPECT_EQ(find_number(file->metadata, "plus"), 5U);
  EXPECT_EQ(find_number(file->metadata, "minus"), std::nullopt);
  EXPECT_EQ(find_number(file->metadata, "u64"), ~0ULL);
  EXPECT_EQ(find_number(file->metadata, "float"), std::nullopt);
  EXPECT_EQ(find_number(file->metadata, "yes"), 1U);
  EXPECT_EQ(find_number(file->metadata, "absent"), std::nullopt);
}

TEST(GgufReader, ObeysTheFilesAlignment) {
  GgufBuilder builder;
  builder.alignment = 4096;
  const auto file =
      parse(builder.u32("general.alignment", 4096).tensor("a", {3}).tensor("b", {3}).build());
  ASSERT_TRUE(file) << file.error().to_string();
  EXPECT_EQ(file->data_offset, 4096U);
  EXPECT_EQ(file->tensors[1].offset, 8192U);
}

TEST(GgufReader, ReadsAHugeHeader) {
  const auto file = parse(many_tensors(400, 250).build());
  ASSERT_TRUE(file) << file.error().to_string();
  ASSERT_EQ(file->tensors.size(), 100'000U);
  const GgufTensor& last = file->tensors.back();
  EXPECT_EQ(last.name, "blk.399.ffn_gate.249.weight");
  EXPECT_EQ(last.elements, 8U);
  EXPECT_EQ(last.offset, file->data_offset + 99'999 * 32);
  EXPECT_EQ(last.offset + last.bytes, file->size);
}

TEST(GgufReader, FindsANameTwiceAmongMany) {
  const auto bytes = many_tensors(400, 250).tensor("blk.7.ffn_gate.8.weight", {8}).build();
  EXPECT_THAT(failure(bytes), HasSubstr("tensor blk.7.ffn_gate.8.weight: the name is there twice"));
}

TEST(GgufReader, TensorsNeedNotBeInTheOrderOfTheirData) {
  auto bytes = GgufBuilder()
                   .raw_tensor("b", {8}, 0, 64)
                   .raw_tensor("a", {8}, 0, 0)
                   .raw_tensor("c", {8}, 0, 32)
                   .build();
  bytes.resize(bytes.size() + 96);
  const auto file = parse(std::move(bytes));
  ASSERT_TRUE(file) << file.error().to_string();
  EXPECT_EQ(file->tensors[0].offset, file->data_offset + 64);
}

TEST(GgufReader, SaysHowMuchOfATruncatedFileIsMissing) {
  auto bytes = small_model().build();
  bytes.resize(bytes.size() - 600);
  EXPECT_THAT(failure(bytes), HasSubstr("m.gguf: tensor output_norm.weight: data ends at byte"));
  EXPECT_THAT(failure(bytes), HasSubstr("truncated, 600 bytes are missing"));
}

TEST(GgufReader, SaysWhatAnotherFileBeginsWith) {
  const auto bytes = [](std::string_view text) {
    GgufBuilder::Bytes out;
    for (const char c : text) out.push_back(static_cast<std::byte>(c));
    return out;
  };
  EXPECT_THAT(failure(bytes("#!/bin/sh\n")),
              HasSubstr("no GGUF file: it begins with \"#!/bin/s\""));
  EXPECT_THAT(failure(bytes("\x7f"
                            "ELF")),
              HasSubstr("begins with 7f 45 4c 46"));
  EXPECT_THAT(failure(bytes("")), HasSubstr("is empty"));
  EXPECT_EQ(parse(bytes("PK")).error().code, ErrorCode::unsupported);
}

struct Hostile {
  std::string_view what;
  GgufBuilder::Bytes bytes;
  std::string_view message;
};

GgufBuilder::Bytes words(std::initializer_list<std::uint64_t> values) {
  GgufBuilder::Bytes out;
  for (const std::uint64_t value : values) GgufBuilder::append(out, value);
  return out;
}

// The value of a list: element type, count, then `rest`.
GgufBuilder::Bytes list(std::uint32_t element, std::uint64_t count, GgufBuilder::Bytes rest = {}) {
  GgufBuilder::Bytes out;
  GgufBuilder::append(out, element);
  GgufBuilder::append(out, count);
  out.insert(out.end(), rest.begin(), rest.end());
  return out;
}

GgufBuilder::Bytes nested_list(int depth) {
  GgufBuilder::Bytes out = list(4, 0);
  for (int i = 1; i < depth; ++i) out = list(9, 1, out);
  return out;
}

GgufBuilder with_version(std::uint32_t version) {
  GgufBuilder builder = small_model();
  builder.version = version;
  return builder;
}

GgufBuilder claiming(std::optional<std::uint64_t> tensors, std::optional<std::uint64_t> keys) {
  GgufBuilder builder = small_model();
  builder.claimed_tensors = tensors;
  builder.claimed_keys = keys;
  return builder;
}

std::vector<Hostile> hostile_files() {
  constexpr std::uint64_t kHuge = 1ULL << 63;
  const auto raw = [](std::uint32_t type, const GgufBuilder::Bytes& value) {
    return GgufBuilder().raw("k", type, value).build();
  };
  return {
      {"magic alone", words({0x46554747}), "m.gguf: "},
      {"version 1", with_version(1).build(), "GGUF version 1"},
      {"version 4", with_version(4).build(), "GGUF version 4 is unknown"},
      {"big-endian", with_version(0x03000000).build(), "big-endian"},
      {"2^63 tensors", claiming(kHuge, {}).build(), "tensor count: 9223372036854775808"},
      {"2^63 keys", claiming({}, kHuge).build(), "metadata count: 9223372036854775808"},
      {"a million keys", claiming({}, 1'000'000).build(), "metadata count"},
      {"text of 2^63 bytes", raw(8, words({kHuge})), "k: 9223372036854775808 bytes are wanted"},
      {"text of 2^64-1 bytes", raw(8, words({~0ULL})), "k: 18446744073709551615 bytes"},
      {"list of 2^63 numbers", raw(9, list(4, kHuge)), "k: a list of 9223372036854775808"},
      {"list of 2^61 numbers", raw(9, list(10, (1ULL << 61) + 1)), "does not fit"},
      {"list of 2^63 texts", raw(9, list(8, kHuge)), "does not fit"},
      {"list of 2^63 lists", raw(9, list(9, kHuge)), "does not fit"},
      {"text in a list too long", raw(9, list(8, 1, words({kHuge}))), "bytes are wanted"},
      {"lists in lists in lists", raw(9, nested_list(10)), "nested more than 4"},
      {"unknown value type", raw(13, words({0})), "k: 13 is no value type"},
      {"unknown element type", raw(9, list(99, 1)), "k: 99 is no value type"},
      {"truth of 7", raw(7, {std::byte{7}}), "k: a truth value is 7"},
      {"key twice", GgufBuilder().u32("k", 1).u32("k", 2).build(), "k: the key is there twice"},
      {"key without name", GgufBuilder().u32("", 1).u32("k", 2).build(), "name is empty"},
      {"alignment of 48", GgufBuilder().u32("general.alignment", 48).build(), "general.alignment"},
      {"alignment of 0", GgufBuilder().u32("general.alignment", 0).build(), "general.alignment"},
      {"alignment of 2^31", GgufBuilder().u32("general.alignment", 1U << 31).build(),
       "general.alignment"},
      {"alignment in words", GgufBuilder().string("general.alignment", "32").build(),
       "general.alignment"},
      {"tensor twice", GgufBuilder().tensor("t", {4}).tensor("t", {4}).build(),
       "tensor t: the name is there twice"},
      {"five dimensions", GgufBuilder().tensor("t", {1, 1, 1, 1, 1}).build(),
       "tensor t: 5 dimensions"},
      {"dimension of 0", GgufBuilder().tensor("t", {4, 0}).build(), "tensor t: dimension 2 is 0"},
      {"dimensions that overflow",
       GgufBuilder().raw_tensor("t", {1ULL << 32, 1ULL << 32, 1ULL << 32}, 0, 0).build(),
       "tensor t: its dimensions multiply"},
      {"unknown element", GgufBuilder().raw_tensor("t", {32}, 4, 0).build(),
       "tensor t: element type 4 is unknown"},
      {"broken block", GgufBuilder().raw_tensor("t", {100}, 12, 0).build(),
       "tensor t: rows of 100 elements do not divide"},
      {"crooked offset", GgufBuilder().raw_tensor("t", {4}, 0, 5).build(),
       "tensor t: its offset 5"},
      {"offset of 2^63", GgufBuilder().raw_tensor("t", {4}, 0, kHuge).build(),
       "tensor t: data begins"},
      {"offset outside", GgufBuilder().raw_tensor("t", {4}, 0, 1ULL << 40).build(),
       "tensor t: data ends at byte"},
      {"tensors on each other", GgufBuilder().tensor("t", {64}).raw_tensor("u", {8}, 0, 32).build(),
       "tensor u: its data overlaps that of t"},
      {"two tensors at one place",
       GgufBuilder().tensor("t", {8}).raw_tensor("u", {8}, 0, 0).build(), "overlaps"},
  };
}

TEST(GgufReader, RefusesHostileFilesAndNamesTheField) {
  for (const Hostile& hostile : hostile_files()) {
    const auto file = parse(hostile.bytes);
    ASSERT_FALSE(file) << hostile.what;
    EXPECT_THAT(file.error().message, HasSubstr(std::string(hostile.message))) << hostile.what;
    EXPECT_TRUE(file.error().message.starts_with("m.gguf: ")) << hostile.what;
    EXPECT_TRUE(file.error().code == ErrorCode::corrupt ||
                file.error().code == ErrorCode::unsupported)
        << hostile.what;
  }
}

TEST(GgufReader, KeepsControlCharactersOutOfMessages) {
  const std::string message =
      failure(GgufBuilder().u32("a\n\x1b[31m\xff", 1).u32("a\n\x1b[31m\xff", 1).build());
  EXPECT_THAT(message, HasSubstr("a??[31m?: the key is there twice"));
}

RC_GTEST_PROP(GgufReader, NeverFailsButByAnError, ()) {
  auto bytes = small_model("gemma3", *rc::gen::inRange(1U, 4U)).build();
  for (int i = *rc::gen::inRange(0, 8); i > 0; --i) {
    // Most of the file is tensor data; aim at the header.
    const auto place = *rc::gen::inRange<std::size_t>(0, std::min<std::size_t>(2048, bytes.size()));
    bytes[place] = static_cast<std::byte>(*rc::gen::arbitrary<std::uint8_t>());
  }
  bytes.resize(*rc::gen::inRange<std::size_t>(0, bytes.size() + 1));
  const std::size_t size = bytes.size();
  const auto file = parse(std::move(bytes));
  if (!file) {
    RC_ASSERT(!file.error().message.empty());
    return;
  }
  for (const GgufTensor& tensor : file->tensors) RC_ASSERT(tensor.offset + tensor.bytes <= size);
}

RC_GTEST_PROP(GgufReader, RefusesEveryTruncation, ()) {
  auto bytes = small_model().build();
  const std::size_t needed = parse(bytes)->tensors.back().offset + 128 * 4;
  bytes.resize(*rc::gen::inRange<std::size_t>(0, needed));
  RC_ASSERT(!parse(std::move(bytes)));
}

}  // namespace
}  // namespace berth::formats
