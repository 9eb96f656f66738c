// profile_hub and open_repository: a repository read as a folder would be.
#include "sources/hub/profile.h"

#include "formats/gguf_builder.h"
#include "formats/profile.h"
#include "formats/safetensors_builder.h"
#include "sources/hub/file_set.h"
#include "sources/hub/test_hub.h"

#include <map>

#include <gmock/gmock.h>

namespace berth::sources {
namespace {

using formats::GgufBuilder;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using testing::json_answer;
using testing::kCommit;
using testing::part_answer;
using testing::Peer;
using testing::Seen;
using testing::settings_for;
using testing::status_answer;
using testing::TestServer;

std::string text_of(const GgufBuilder::Bytes& bytes) {
  // NOLINTNEXTLINE(cppcoreguidelines-pro-type-reinterpret-cast): bytes as characters
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Hugging Face with one repository; the files are on another server, as its large ones are.
class Repository : public ::testing::Test {
 protected:
  void serve_list(Peer& peer, const Seen& request) {
    if (request.target.find("/revision/") != std::string::npos) {
      return void(peer.send(json_answer(fmt::format(R"({{"sha":"{}"}})", kCommit))));
    }
    if (request.target.find("/resolve/") != std::string::npos) {
      const auto file = request.target.substr(request.target.find(kCommit) + kCommit.size());
      return void(peer.send(
          status_answer("302 Found", "Location: " + content_.url(file) + "?sign=secret\r\n")));
    }
    std::string entries;
    for (const auto& [path, text] : files_) {
      entries += fmt::format(R"({}{{"type":"file","oid":"{}","size":{},"path":"{}"}})",
                             entries.empty() ? "" : ",", kCommit, text.size() + lie_, path);
    }
    peer.send(json_answer("[" + entries + "]"));
  }
  void serve_file(Peer& peer, const Seen& request) {
    const auto path = request.target.substr(1, request.target.find('?') - 1);
    peer.send(part_answer(request, files_.at(path), "ETag: \"1\"\r\n"));
  }

  Result<HubModel> profile(std::string_view name) {
    return profile_hub(parse_hub_name(name).value(), settings_for(hub_, "t0ken"));
  }
  [[nodiscard]] std::string address(std::string_view path) const {
    return hub_.url(fmt::format("/o/m/resolve/{}/{}", kCommit, path));
  }

  std::map<std::string, std::string> files_;
  std::uint64_t lie_ = 0;
  TestServer content_{[this](Peer& peer, const Seen& request) { serve_file(peer, request); }};
  TestServer hub_{[this](Peer& peer, const Seen& request) { serve_list(peer, request); }};
};

TEST_F(Repository, GivesTheProfileOfTheQuantisationThatIsChosen) {
  files_ = {{"README.md", "# m"},
            {"m-Q8_0.gguf", "not read"},
            {"m-Q4_K_M.gguf", text_of(formats::small_model().build())}};
  const auto found = profile("hf:o/m");
  ASSERT_TRUE(found) << found.error().to_string();
  EXPECT_EQ(found->choice.quantisation, "Q4_K_M");
  EXPECT_EQ(found->choice.commit, kCommit);
  formats::MemorySource memory(formats::small_model().build());
  auto expected = formats::profile_of(
      {{.path = "m-Q4_K_M.gguf", .file = formats::read_gguf(memory, "memory").value()}});
  EXPECT_EQ(to_json(found->profile), to_json(expected.value()));
  EXPECT_EQ(found->files.commit, kCommit);
  ASSERT_EQ(found->files.files.size(), 1U);
  EXPECT_EQ(found->files.files.front().path, "m-Q4_K_M.gguf");
  EXPECT_EQ(found->files.files.front().size.count, files_.at("m-Q4_K_M.gguf").size());
}

TEST_F(Repository, SendsTheTokenToTheHubAndNotToWhereItRedirects) {
  files_ = {{"m.gguf", text_of(formats::small_model().build())}};
  ASSERT_TRUE(profile("hf:o/m"));
  ASSERT_FALSE(content_.seen().empty());
  for (const auto& request : hub_.seen()) {
    EXPECT_EQ(request.field("authorization"), "Bearer t0ken") << request.target;
  }
  for (const auto& request : content_.seen()) EXPECT_EQ(request.field("authorization"), "");
}

TEST_F(Repository, ReadsTheHeadersOfAModelInHuggingFacesLayout) {
  files_ = {{"config.json",
             R"({"architectures":["LlamaForCausalLM"],"model_type":"llama","hidden_size":64,
           "num_hidden_layers":1,"num_attention_heads":4,"num_key_value_heads":2,"vocab_size":32,
           "max_position_embeddings":512,"intermediate_size":128,"torch_dtype":"bfloat16"})"},
            {"README.md", "---\nlicense: mit\n---\n"},
            {"pytorch_model.bin", "not read"},
            {"model.safetensors", formats::SafetensorsBuilder()
                                      .bf16("model.embed_tokens.weight", {32, 64})
                                      .bf16("model.layers.0.self_attn.q_proj.weight", {64, 64})
                                      .bf16("lm_head.weight", {32, 64})
                                      .build()}};
  const auto found = profile("hf:o/m");
  ASSERT_TRUE(found) << found.error().to_string();
  EXPECT_EQ(found->profile.name, "o/m");
  EXPECT_EQ(found->profile.licence, "mit");
  EXPECT_EQ(found->profile.layer_count, 1);
  EXPECT_THAT(found->choice.files, ElementsAre("README.md", "config.json", "model.safetensors"));
}

TEST_F(Repository, FetchesABlockOnceThoughItIsLookedAtAgain) {
  files_ = {{"m.gguf", text_of(formats::small_model().build())}};
  ASSERT_TRUE(profile("hf:o/m"));
  EXPECT_EQ(content_.seen().size(), 1);
}

TEST_F(Repository, RefusesAFileThatIsNotAsItWasListed) {
  files_ = {{"m.gguf", text_of(formats::small_model().build())}};
  lie_ = 1;
  const auto listing =
      list_repository(parse_hub_name("hf:o/m").value(), settings_for(hub_)).value();
  const auto files = open_repository(listing, {"m.gguf"}, settings_for(hub_)).value();
  const auto source = files->open("m.gguf");
  ASSERT_FALSE(source);
  EXPECT_EQ(source.error().code, ErrorCode::corrupt);
  EXPECT_THAT(source.error().message, AllOf(HasSubstr("hf:o/m"), HasSubstr("m.gguf")));
}

TEST_F(Repository, HasOnlyWhatWasChosenOfIt) {
  files_ = {{"a", "a"}, {"b", "bb"}};
  const auto listing =
      list_repository(parse_hub_name("hf:o/m").value(), settings_for(hub_)).value();
  const auto files = open_repository(listing, {"b"}, settings_for(hub_)).value();
  EXPECT_EQ(files->name(), "hf:o/m");
  ASSERT_EQ(files->files().size(), 1);
  EXPECT_EQ(formats::read_text(*files, "b").value(), "bb");
  EXPECT_EQ(files->locate("b"), address("b"));
  EXPECT_EQ(files->open("a").error().code, ErrorCode::not_found);
  EXPECT_EQ(open_repository(listing, {"c"}, settings_for(hub_)).error().code, ErrorCode::not_found);
}

}  // namespace
}  // namespace berth::sources
