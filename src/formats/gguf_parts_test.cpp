#include "formats/gguf_parts.h"

#include "formats/gguf_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::formats {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

using Files = std::map<std::string, std::string>;

std::string name_of(int number, int count) {
  return fmt::format("q4/m-{:05}-of-{:05}.gguf", number, count);
}

// What one part says of itself, and the one tensor that it holds.
struct Part {
  int number = 1;
  int count = 3;
  int tensors = 3;  // of the whole model
  std::string architecture;
};

std::string build(const Part& part) {
  GgufBuilder builder;
  if (!part.architecture.empty()) builder.string("general.architecture", part.architecture);
  builder.u16("split.no", static_cast<std::uint16_t>(part.number - 1))
      .u16("split.count", static_cast<std::uint16_t>(part.count))
      .i32("split.tensors.count", part.tensors)
      .tensor(fmt::format("blk.{}.w", part.number), {8});
  return builder.text();
}

// A model in three parts.
Files three_parts() {
  return {{name_of(1, 3), build({.number = 1, .architecture = "llama"})},
          {name_of(2, 3), build({.number = 2})},
          {name_of(3, 3), build({.number = 3})}};
}

Result<std::vector<GgufPart>> parts_of(Files contents, const std::string& path) {
  const auto files = files_in_memory(std::move(contents));
  BERTH_TRY(auto given, read_part(*files, path));
  return read_parts(*files, path, std::move(given));
}

Error refused(Files contents, const std::string& path = name_of(1, 3)) {
  const auto parts = parts_of(std::move(contents), path);
  if (!parts) return parts.error();
  ADD_FAILURE() << "the parts were taken for one model";
  return {};
}

TEST(GgufParts, AreFoundFromAnyOfThem) {
  for (const int given : {1, 2, 3}) {
    const auto parts = parts_of(three_parts(), name_of(given, 3));
    ASSERT_TRUE(parts) << parts.error().to_string();
    std::vector<std::string> paths;
    for (const GgufPart& part : *parts) paths.push_back(part.path);
    EXPECT_THAT(paths,
                ElementsAre("/memory/q4/m-00001-of-00003.gguf", "/memory/q4/m-00002-of-00003.gguf",
                            "/memory/q4/m-00003-of-00003.gguf"));
  }
}

TEST(GgufParts, AWholeFileIsItsOnlyPart) {
  for (const char* path : {"m.gguf", "m-00001-of-00001.gguf"}) {
    const auto parts = parts_of({{path, small_model().text()}}, path);
    ASSERT_TRUE(parts) << parts.error().to_string();
    EXPECT_EQ(parts->size(), 1U);
  }
}

TEST(GgufParts, EachThatIsMissingIsNamed) {
  for (const int missing : {1, 2, 3}) {
    auto files = three_parts();
    files.erase(name_of(missing, 3));
    const auto error = refused(std::move(files), name_of(missing == 1 ? 2 : 1, 3));
    EXPECT_EQ(error.code, ErrorCode::not_found);
    EXPECT_THAT(error.message, AllOf(HasSubstr(fmt::format("part {} of 3 is missing", missing)),
                                     HasSubstr("/memory/" + name_of(missing, 3))));
  }
}

struct Foreign {
  std::string_view what;
  int place;  // whose place it takes
  std::string content;
  std::string_view message;
};

std::vector<Foreign> foreign_parts() {
  return {
      {"another part's number", 2, build({.number = 3}), "split.no"},
      {"of a model of four parts", 2, build({.number = 2, .count = 4}), "split.no"},
      {"no part at all", 3, small_model().text(), "split.no"},
      {"of a model with more tensors", 3, build({.number = 3, .tensors = 9}),
       "split.tensors.count: it is of a model of 9 tensors, and the first part of one of 3"},
      {"of another architecture", 2, build({.number = 2, .architecture = "qwen3"}),
       "general.architecture: it is of a \"qwen3\", and the first part of a \"llama\""},
      {"cut off", 2, build({.number = 2}).substr(0, 40), "do not fit into a file of 40 bytes"},
  };
}

TEST(GgufParts, AForeignOneIsNamedWhicheverIsGiven) {
  for (const Foreign& foreign : foreign_parts()) {
    SCOPED_TRACE(foreign.what);
    auto files = three_parts();
    files[name_of(foreign.place, 3)] = foreign.content;
    const auto error = refused(std::move(files));
    EXPECT_EQ(error.code, ErrorCode::corrupt);
    EXPECT_THAT(error.message, HasSubstr(std::string(foreign.message)));
    EXPECT_THAT(error.message, testing::StartsWith("/memory/" + name_of(foreign.place, 3)));
  }
}

TEST(GgufParts, TogetherHoldWhatTheFirstPromises) {
  auto files = three_parts();
  for (int number = 1; number <= 3; ++number) {
    files[name_of(number, 3)] = build({.number = number, .tensors = 4});
  }
  EXPECT_THAT(refused(files).message,
              HasSubstr("split.tensors.count: the parts hold 3 tensors of 4"));
}

TEST(GgufParts, AFileMustBeCalledWhatItIs) {
  const auto part = build({.number = 1, .architecture = "llama"});
  EXPECT_THAT(refused({{"m.gguf", part}}, "m.gguf").message,
              AllOf(HasSubstr("/memory/m.gguf: split.count"), HasSubstr("one of 3 parts")));
  EXPECT_THAT(refused({{name_of(1, 2), part}}, name_of(1, 2)).message,
              AllOf(HasSubstr(name_of(1, 2) + ": split.count"), HasSubstr("one of 3 parts")));
  EXPECT_THAT(refused({{name_of(1, 3), small_model().text()}}).message,
              AllOf(HasSubstr(name_of(1, 3) + ": split.count"), HasSubstr("that it is whole")));
}

TEST(GgufParts, NamesAreTakenApart) {
  const auto name = parse_split_name("folder/m-00002-of-00005.gguf");
  ASSERT_TRUE(name);
  EXPECT_EQ(name->stem, "folder/m");
  EXPECT_EQ(name->number, 2U);
  EXPECT_EQ(name->count, 5U);
  for (const char* other :
       {"m.gguf", "m-00006-of-00005.gguf", "m-00000-of-00005.gguf", "m-0001-of-00005.gguf",
        "m-0000x-of-00005.gguf", "folder/-00001-of-00005.gguf", "m-00001-of-00005.bin"}) {
    EXPECT_FALSE(parse_split_name(other)) << other;
  }
}

}  // namespace
}  // namespace berth::formats
