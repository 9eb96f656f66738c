#include "formats/gguf_header.h"

#include "formats/gguf_builder.h"

#include <gmock/gmock.h>

namespace berth::formats {
namespace {

using ::testing::HasSubstr;

// Counts what is read of it.
class Counted final : public ByteSource {
 public:
  explicit Counted(std::vector<std::byte> bytes) : bytes_(std::move(bytes)) {}
  [[nodiscard]] std::uint64_t size() const override { return bytes_.size(); }
  Result<std::span<const std::byte>> read(std::uint64_t offset, std::uint64_t length) override {
    is_in_order = is_in_order && offset == read_bytes;
    read_bytes += length;
    return bytes_.read(offset, length);
  }

  bool is_in_order = true;
  std::uint64_t read_bytes = 0;

 private:
  MemorySource bytes_;
};

// A header of some 800 KiB, and 4 MiB of weights behind it.
GgufBuilder with_long_header() {
  auto builder = small_model();
  builder.string("long.text", std::string(100'000, 'x'));
  builder.u32_list("long.list", std::vector<std::uint32_t>(175'000, 7));
  builder.tensor("last.weight", {1024, 1024});
  return builder;
}

TEST(GgufHeader, IsAllThatIsBeforeTheTensors) {
  const auto whole = with_long_header().build();
  MemorySource memory(whole);
  const auto offset = read_gguf(memory, "m").value().data_offset;
  Counted source(whole);
  const auto header = read_header(source, "m", 64_MiB);
  ASSERT_TRUE(header) << header.error().to_string();
  EXPECT_EQ(*header,
            std::vector<std::byte>(whole.begin(), whole.begin() + static_cast<long>(offset)));
  EXPECT_TRUE(source.is_in_order) << "a byte was read twice, or one left out";
  EXPECT_LT(source.read_bytes, offset + (512 << 10));
}

TEST(GgufHeader, WithAHoleBehindItReadsAsTheWholeFile) {
  const auto whole = with_long_header().build();
  MemorySource memory(whole);
  auto header = read_header(memory, "m", 64_MiB).value();
  header.resize(whole.size());
  MemorySource again(header);
  const auto expected = read_gguf(memory, "m").value();
  const auto found = read_gguf(again, "m").value();
  EXPECT_EQ(found.tensors.size(), expected.tensors.size());
  EXPECT_EQ(found.metadata.size(), expected.metadata.size());
}

TEST(GgufHeader, MayBeTheWholeFile) {
  // The first part of a split model may have no tensors.
  GgufBuilder builder;
  builder.string("general.architecture", "llama");
  const auto whole = builder.build();
  MemorySource source(whole);
  const auto header = read_header(source, "m", 64_MiB);
  ASSERT_TRUE(header) << header.error().to_string();
  EXPECT_LE(header->size(), whole.size());
}

TEST(GgufHeader, IsReadNoFurtherThanAllowed) {
  Counted source(with_long_header().build());
  const auto header = read_header(source, "m.gguf", 400_KiB);
  ASSERT_FALSE(header);
  EXPECT_EQ(header.error().code, ErrorCode::too_large);
  EXPECT_THAT(header.error().message, HasSubstr("m.gguf"));
  EXPECT_LE(source.read_bytes, (400 + 64) << 10);
}

TEST(GgufHeader, OfABrokenFileIsRefused) {
  auto bytes = with_long_header().build();
  bytes.resize(bytes.size() / 2);
  MemorySource cut(bytes);
  EXPECT_EQ(read_header(cut, "m", 64_MiB).error().code, ErrorCode::corrupt);
  MemorySource other({std::byte{'n'}, std::byte{'o'}});
  EXPECT_EQ(read_header(other, "m", 64_MiB).error().code, ErrorCode::unsupported);
}

}  // namespace
}  // namespace berth::formats
