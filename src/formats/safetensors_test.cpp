#include "formats/safetensors.h"

#include "formats/safetensors_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::formats {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

MemorySource source_of(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  return MemorySource({bytes.begin(), bytes.end()});
}

Result<SafetensorsFile> read_text(std::string_view text) {
  auto source = source_of(text);
  return read_safetensors(source, "a.safetensors");
}

TEST(Safetensors, ReadsTensorsAndMetadata) {
  const auto text = SafetensorsBuilder()
                        .metadata("format", "pt")
                        .bf16("w", {2, 3})
                        .tensor("scale", "F8_E4M3", {4}, 4)
                        .tensor("packed", "F4", {4}, 2)
                        .tensor("scalar", "F32", {}, 4)
                        .build();
  const auto file = read_text(text);
  ASSERT_TRUE(file) << file.error().to_string();
  EXPECT_EQ(file->size, text.size());
  EXPECT_EQ(file->metadata.at("format"), "pt");
  ASSERT_EQ(file->tensors.size(), 4U);
  EXPECT_EQ(file->tensors[0].name, "w");
  EXPECT_EQ(file->tensors[0].type, "BF16");
  EXPECT_THAT(file->tensors[0].shape, ElementsAre(2, 3));
  EXPECT_EQ(file->tensors[0].elements, 6U);
  EXPECT_EQ(file->tensors[0].bytes, 12U);
  EXPECT_EQ(file->tensors[3].elements, 1U);
}

TEST(Safetensors, TakesAnEmptyTensorAtTheEnd) {
  const auto file = read_text(SafetensorsBuilder().bf16("w", {1}).bf16("none", {0, 5}).build());
  ASSERT_TRUE(file) << file.error().to_string();
  EXPECT_EQ(file->tensors[1].bytes, 0U);
}

struct Lie {
  const char* name;
  const char* header;
  const char* says;
};

class Lies : public testing::TestWithParam<Lie> {};

TEST_P(Lies, AreNamedWithFileAndField) {
  const auto text = SafetensorsBuilder().tensor("x", "U8", {16}, 16).with_header(GetParam().header);
  const auto file = read_text(text);
  ASSERT_FALSE(file);
  EXPECT_THAT(file.error().message, HasSubstr("a.safetensors: "));
  EXPECT_THAT(file.error().message, HasSubstr(GetParam().says));
}

INSTANTIATE_TEST_SUITE_P(
    Safetensors, Lies,
    testing::Values(
        Lie{"Past", R"({"t":{"dtype":"U8","shape":[17],"data_offsets":[0,17]}})", "not inside"},
        Lie{"Backwards", R"({"t":{"dtype":"U8","shape":[1],"data_offsets":[2,1]}})", "not inside"},
        Lie{"Negative", R"({"t":{"dtype":"U8","shape":[1],"data_offsets":[-1,0]}})", "no pair"},
        Lie{"Float", R"({"t":{"dtype":"U8","shape":[1.5],"data_offsets":[0,1]}})", "whole number"},
        Lie{"Size", R"({"t":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}})", "do not fit"},
        Lie{"Overflow",
            R"({"t":{"dtype":"U8","shape":[4294967296,4294967296,2],"data_offsets":[0,1]}})",
            "64 bits"},
        Lie{"Bits", R"({"t":{"dtype":"F4","shape":[3],"data_offsets":[0,2]}})", "do not fit"},
        Lie{"Huge", R"({"t":{"dtype":"F64","shape":[9223372036854775807],"data_offsets":[0,8]}})",
            "do not fit"},
        Lie{"Overlap",
            R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},
                "b":{"dtype":"U8","shape":[4],"data_offsets":[3,7]}})",
            "tensor b: data_offsets: it overlaps tensor a"},
        Lie{"Twice",
            R"({"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},
                "a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}})",
            "header"},
        Lie{"Type", R"({"t":{"dtype":"Q4_K","shape":[1],"data_offsets":[0,1]}})", "not known"},
        Lie{"NoType", R"({"t":{"shape":[1],"data_offsets":[0,1]}})", "dtype"},
        Lie{"NoObject", R"({"t":[]})", "no object"}, Lie{"List", "[]", "no JSON object"},
        Lie{"Cut", R"({"t":)", "header"}, Lie{"Nan", R"({"t":NaN})", "header"}),
    [](const auto& info) { return std::string(info.param.name); });

TEST(Safetensors, RefusesAHeaderLongerThanTheFile) {
  for (const std::string& text : {std::string(), std::string("\x08\0\0", 3), std::string(8, '\xff'),
                                  std::string("\x7f\0\0\0\0\0\0\0{}", 10)}) {
    EXPECT_EQ(read_text(text).error().code, ErrorCode::corrupt) << text.size();
  }
}

TEST(Safetensors, IsToldByItsBeginning) {
  auto yes = source_of(SafetensorsBuilder().bf16("w", {1}).build());
  EXPECT_TRUE(looks_like_safetensors(yes));
  auto no = source_of("GGUF\3\0\0\0\0\0\0\0");
  EXPECT_FALSE(looks_like_safetensors(no));
}

}  // namespace
}  // namespace berth::formats
