#include "formats/ctranslate2.h"

#include "formats/ctranslate2_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::formats {
namespace {

using testing::HasSubstr;

Result<std::optional<CTranslate2Model>> read(std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  MemorySource source(std::vector<std::byte>(bytes.begin(), bytes.end()));
  return read_ctranslate2(source);
}

TEST(CTranslate2, TellsWhatItIsAndTheShapeOfItsEmbeddings) {
  const auto model = read(small_whisper());
  ASSERT_TRUE(model && *model);
  EXPECT_EQ((*model)->specification, "WhisperSpec");
  EXPECT_EQ((*model)->revision, 3U);
  EXPECT_EQ((*model)->vocabulary, 51865U);
  EXPECT_EQ((*model)->embedding_length, 2U);
  EXPECT_EQ((*model)->weight_type, "F16");
}

TEST(CTranslate2, KnowsNoEmbeddingsWhereTheyAreNotThere) {
  const auto model =
      read(CTranslate2Builder("Wav2Vec2Spec").variable("encoder/a", {2}, 0, 8).build());
  ASSERT_TRUE(model && *model);
  EXPECT_EQ((*model)->specification, "Wav2Vec2Spec");
  EXPECT_EQ((*model)->vocabulary, 0U);
}

TEST(CTranslate2, LeavesTheVariablesOfOldVersionsAlone) {
  const auto model = read(CTranslate2Builder("TransformerSpec", 3).build() + "anything");
  ASSERT_TRUE(model && *model);
  EXPECT_EQ((*model)->weight_type, "");
}

TEST(CTranslate2, IsNoModelWhereTheHeadSaysSo) {
  const std::string pointer =
      "version https://git-lfs.github.com/spec/v1\noid sha256:905e5bf8\nsize 145217532\n";
  const std::string pickle = "\x80\x02}q" + std::string(64, '.');
  const std::string archive = "PK\x03\x04" + std::string(64, '.');
  const std::string long_name = CTranslate2Builder(std::string(100, 'a') + "Spec").build();
  for (const auto& text : {std::string(), std::string("\6\0\0", 3), pointer, pickle, archive,
                           long_name, CTranslate2Builder("bad/Spec").build(),
                           std::string("\6\0\0\0\xff\xff", 6) + std::string(20, 'a')}) {
    const auto model = read(text);
    ASSERT_TRUE(model) << model.error().message;
    EXPECT_FALSE(*model) << text;
  }
}

TEST(CTranslate2, RefusesWhatContradictsItself) {
  const auto wrong_size =
      read(CTranslate2Builder("WhisperSpec").variable("decoder/a", {3}, 0, 11).build());
  ASSERT_FALSE(wrong_size);
  EXPECT_EQ(wrong_size.error().code, ErrorCode::corrupt);
  EXPECT_THAT(wrong_size.error().message, HasSubstr("decoder/a"));

  const std::uint32_t huge = 0xffff'ffff;
  EXPECT_FALSE(read(
      CTranslate2Builder("WhisperSpec").variable("decoder/a", {huge, huge, huge}, 0, 0).build()));
  EXPECT_FALSE(read(CTranslate2Builder("WhisperSpec").variable("decoder/a", {1}, 200, 1).build()));
  EXPECT_FALSE(read(CTranslate2Builder("WhisperSpec")
                        .variable("decoder/a", {1, 1, 1, 1, 1, 1, 1, 1, 1}, 1, 1)
                        .build()));
}

TEST(CTranslate2, RefusesAFileCutInItsFirstVariables) {
  const std::string whole = small_whisper(4);
  const auto whole_read = read(whole);
  ASSERT_TRUE(whole_read);
  // The end of the head up to the data of the embeddings.
  const std::size_t end = whole.find("decoder/embeddings") + 30;
  for (std::size_t length = sizeof(std::uint32_t) * 3 + 14; length < end; ++length) {
    EXPECT_FALSE(read(std::string_view(whole).substr(0, length))) << length;
  }
}

}  // namespace
}  // namespace berth::formats
