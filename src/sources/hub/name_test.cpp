#include "sources/hub/name.h"

#include <gmock/gmock.h>

namespace berth::sources {
namespace {

using ::testing::HasSubstr;

HubName hugging_face(std::string quantisation = "", std::string file = "",
                     std::string revision = "") {
  return {.hub = Hub::hugging_face,
          .repository = "org/Name-1.5_b",
          .revision = std::move(revision),
          .quantisation = std::move(quantisation),
          .file = std::move(file)};
}

TEST(HubName, IsReadInAllItsForms) {
  struct Case {
    std::string_view text;
    HubName name;
  };
  for (const auto& [text, name] : std::vector<Case>{
           {"hf:org/Name-1.5_b", hugging_face()},
           {"huggingface:org/Name-1.5_b", hugging_face()},
           {"hf.co/org/Name-1.5_b:Q4_K_M", hugging_face("Q4_K_M")},
           {"huggingface.co/org/Name-1.5_b:UD-Q4_K_XL", hugging_face("UD-Q4_K_XL")},
           {"hf:org/Name-1.5_b:IQ2_M@v1.0", hugging_face("IQ2_M", "", "v1.0")},
           {"hf:org/Name-1.5_b@refs/pr/1", hugging_face("", "", "refs/pr/1")},
           {"hf:org/Name-1.5_b/a b/m.gguf", hugging_face("", "a b/m.gguf")},
           {"hf:org/Name-1.5_b/m@2.gguf@main", hugging_face("", "m@2.gguf", "main")},
           {"hf:org/Name-1.5_b/m:1.gguf", hugging_face("", "m:1.gguf")},
           {"ms:o/m", {.hub = Hub::model_scope, .repository = "o/m"}},
           {"modelscope:o/m/f.gguf",
            {.hub = Hub::model_scope, .repository = "o/m", .file = "f.gguf"}},
           {"ollama:llama3", {.hub = Hub::ollama, .repository = "library/llama3"}},
           {"ollama:llama3.2:1b-q4_0",
            {.hub = Hub::ollama, .repository = "library/llama3.2", .revision = "1b-q4_0"}},
           {"ollama:me/own:x", {.hub = Hub::ollama, .repository = "me/own", .revision = "x"}},
       }) {
    const auto read = parse_hub_name(text);
    ASSERT_TRUE(read) << text << ": " << read.error().to_string();
    EXPECT_EQ(*read, name) << text;
    EXPECT_EQ(parse_hub_name(to_text(name)).value(), name) << to_text(name);
  }
}

TEST(HubName, IsToldFromPathsAndAddresses) {
  for (const auto* text : {"./hf:x/y", "/hf:x", "hf.co.gguf", "https://huggingface.co/o/m",
                           "hub/model", "HF:o/m", "ollama"}) {
    EXPECT_FALSE(is_hub_name(text)) << text;
  }
}

TEST(HubName, RefusesWhatNoHubHasAndSaysTheForm) {
  const std::string long_name(97, 'a');
  for (const std::string& text : {std::string("hf:"),
                                  std::string("hf:name"),
                                  std::string("hf:/name"),
                                  std::string("hf:org/"),
                                  std::string("hf:../name"),
                                  std::string("hf:org/.."),
                                  std::string("hf:org/../../etc/passwd"),
                                  std::string("hf:org/name/../x.gguf"),
                                  std::string("hf:org/name//x.gguf"),
                                  std::string("hf:org/name/"),
                                  std::string("hf:org/name/a\\b"),
                                  std::string("hf:org/name:"),
                                  std::string("hf:org/name:Q4 K"),
                                  std::string("hf:org/name:Q4/../x"),
                                  std::string("hf:org/name@"),
                                  std::string("hf:org/name@../main"),
                                  std::string("hf:org/name@-x"),
                                  std::string("hf:org/name@a b"),
                                  std::string("hf:org/name@a//b"),
                                  std::string("hf:org/na?me"),
                                  std::string("hf:org/na%2eme"),
                                  std::string("hf:org/na\nme"),
                                  std::string("hf:org/name\0", 12),
                                  std::string("hf:org/name/a\0b", 15),
                                  std::string("hf:o--g/name"),
                                  std::string("hf:org/name.git"),
                                  std::string("hf:-org/name"),
                                  "hf:org/" + long_name,
                                  std::string("hf.co/name"),
                                  std::string("ms:model"),
                                  std::string("ollama:"),
                                  std::string("ollama:a/b/c"),
                                  std::string("ollama:a:"),
                                  std::string("ollama:../a"),
                                  std::string("ollama:a:b/c"),
                                  std::string("ollama:a@b"),
                                  std::string("hf:https://huggingface.co/o/m")}) {
    const auto read = parse_hub_name(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().code, ErrorCode::invalid_parameter) << text;
    EXPECT_EQ(read.error().field, "source") << text;
    EXPECT_THAT(read.error().message, HasSubstr("; write ")) << text;
  }
}

TEST(RepositoryPath, IsRelativeAndOfPlainComponents) {
  for (const auto* path : {"a", "a/b.gguf", "a..b", ".gitattributes", "...", "ä b/模型.gguf"}) {
    EXPECT_TRUE(is_repository_path(path)) << path;
  }
  const std::string long_component(256, 'a');
  for (const std::string& path :
       {std::string(), std::string("/a"), std::string("a/"), std::string("a//b"), std::string(".."),
        std::string("a/../b"), std::string("./a"), std::string("a/."), std::string("a\\b"),
        std::string("a\nb"), std::string("a\0b", 3), long_component}) {
    EXPECT_FALSE(is_repository_path(path)) << path;
  }
}

}  // namespace
}  // namespace berth::sources
