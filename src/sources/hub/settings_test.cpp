#include "sources/hub/settings.h"

#include <map>

#include <gmock/gmock.h>

namespace berth::sources {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

using Environment = std::map<std::string, std::string>;

Result<HubSettings> read(const Environment& environment) {
  return read_hub_settings([&](const char* name) -> const char* {
    const auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second.c_str();
  });
}

TEST(HubSettings, AreTheHubsOwnWhereNothingIsSet) {
  const auto settings = read({{"HF_TOKEN", ""}, {"HF_ENDPOINT", ""}});
  ASSERT_TRUE(settings);
  EXPECT_EQ(settings->hugging_face.endpoint, "https://huggingface.co");
  EXPECT_EQ(settings->model_scope.endpoint, "https://www.modelscope.cn");
  EXPECT_EQ(settings->ollama.endpoint, "https://registry.ollama.ai");
  EXPECT_EQ(settings->hugging_face.token, "");
  EXPECT_FALSE(settings->offline);
}

TEST(HubSettings, ComeFromTheVariablesOfTheHubsOwnTools) {
  const auto settings = read({{"HF_ENDPOINT", "https://mirror.example.org/hf/"},
                              {"HF_TOKEN", " hf_x\n"},
                              {"MODELSCOPE_DOMAIN", "www.modelscope.ai"},
                              {"MODELSCOPE_API_TOKEN", "ms-1"},
                              {"BERTH_OLLAMA_REGISTRY", "http://127.0.0.1:5000"}});
  ASSERT_TRUE(settings) << settings.error().to_string();
  EXPECT_EQ(settings->place_of(Hub::hugging_face).endpoint, "https://mirror.example.org/hf");
  EXPECT_EQ(settings->place_of(Hub::hugging_face).token, "hf_x");
  EXPECT_EQ(settings->place_of(Hub::model_scope).endpoint, "https://www.modelscope.ai");
  EXPECT_EQ(settings->place_of(Hub::model_scope).token, "ms-1");
  EXPECT_EQ(settings->place_of(Hub::ollama).endpoint, "http://127.0.0.1:5000");
}

TEST(HubSettings, AreOfflineByWhatHuggingFaceTakesForYes) {
  for (const auto* yes : {"1", "true", "TRUE", "Yes", "on"}) {
    EXPECT_TRUE(read({{"HF_HUB_OFFLINE", yes}})->offline) << yes;
  }
  for (const auto* no : {"", "0", "false", "2"}) {
    EXPECT_FALSE(read({{"HF_HUB_OFFLINE", no}})->offline) << no;
  }
}

TEST(HubSettings, NameTheVariableThatHoldsNoAddress) {
  for (const auto* value : {"https://me:secret@example.org", "ftp://example.org", "http://",
                            "https://example.org?key=secret"}) {
    const auto settings = read({{"HF_ENDPOINT", value}});
    ASSERT_FALSE(settings) << value;
    EXPECT_EQ(settings.error().code, ErrorCode::invalid_parameter);
    EXPECT_EQ(settings.error().field, "HF_ENDPOINT");
    EXPECT_THAT(settings.error().message,
                AllOf(HasSubstr("HF_ENDPOINT"), Not(HasSubstr("secret"))));
  }
}

}  // namespace
}  // namespace berth::sources
