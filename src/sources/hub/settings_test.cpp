#include "sources/hub/settings.h"

#include "base/files.h"
#include "base/ids.h"

#include <cstdlib>
#include <map>
#include <sstream>

#include <gmock/gmock.h>
#include <spdlog/sinks/ostream_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

namespace berth::sources {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
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

// A folder for the file with the token.
class HubToken : public ::testing::Test {
 protected:
  HubToken()
      : folder_(std::filesystem::temp_directory_path() /
                fmt::format("berth-token-{}-{}", ::getpid(), random_id())) {
    std::filesystem::create_directories(folder_);
  }
  ~HubToken() override { std::filesystem::remove_all(folder_); }

  std::filesystem::path write(const std::string& name, std::string_view text,
                              mode_t mode = 0600) const {
    const auto path = folder_ / name;
    std::filesystem::create_directories(path.parent_path());
    EXPECT_TRUE(write_file_atomic(path, text, mode));
    return path;
  }
  // The settings; their reading never fails because of a token.
  static HubSettings settings_of(const Environment& environment) {
    auto settings = read(environment);
    EXPECT_TRUE(settings) << settings.error().to_string();
    return settings.value_or(HubSettings{});
  }

  std::filesystem::path folder_;
};

TEST_F(HubToken, IsInTheFirstOfTheFilesThatHuggingFaceKnows) {
  const std::string home = folder_.string();
  write("named", "hf_named\n");
  write("hf/token", " hf_home\r\n");
  write("xdg/huggingface/token", "hf_xdg");
  write(".cache/huggingface/token", "hf_default");
  Environment environment{{"HOME", home}};
  EXPECT_EQ(settings_of(environment).hugging_face.token, "hf_default");
  environment["XDG_CACHE_HOME"] = home + "/xdg";
  EXPECT_EQ(settings_of(environment).hugging_face.token, "hf_xdg");
  environment["HF_HOME"] = "~/hf";
  EXPECT_EQ(settings_of(environment).hugging_face.token, "hf_home");
  environment["HF_TOKEN_PATH"] = "${HOME}/x/../named";
  EXPECT_EQ(settings_of(environment).hugging_face.token, "hf_named");
  EXPECT_EQ(settings_of(environment).hugging_face.token_place, home + "/named");
  environment["HUGGING_FACE_HUB_TOKEN"] = "hf_old";
  EXPECT_EQ(settings_of(environment).hugging_face.token, "hf_old");
  EXPECT_EQ(settings_of(environment).hugging_face.token_place, "HUGGING_FACE_HUB_TOKEN");
  environment["HF_TOKEN"] = "hf_new";
  EXPECT_EQ(settings_of(environment).hugging_face.token, "hf_new");
  EXPECT_THAT(settings_of(environment).warnings, IsEmpty());
}

TEST_F(HubToken, IsNobodysWithoutAFile) {
  for (const Environment& environment :
       {Environment{}, Environment{{"HOME", folder_.string()}},
        Environment{{"HF_TOKEN_PATH", (folder_ / "none").string()}}}) {
    const auto settings = settings_of(environment);
    EXPECT_EQ(settings.hugging_face.token, "");
    EXPECT_EQ(settings.hugging_face.token_place, "HF_TOKEN");
    EXPECT_THAT(settings.warnings, IsEmpty());
  }
}

TEST_F(HubToken, IsNotSentWhereTheUserForbidsIt) {
  const auto settings =
      settings_of({{"HF_TOKEN", "hf_x"}, {"HF_HUB_DISABLE_IMPLICIT_TOKEN", "yes"}});
  EXPECT_EQ(settings.hugging_face.token, "");
  EXPECT_THAT(settings.hugging_face.token_place, HasSubstr("HF_HUB_DISABLE_IMPLICIT_TOKEN"));
}

TEST_F(HubToken, OfAFileThatDoesNotDoIsAWarningAndNoError) {
  struct Case {
    std::string path;
    std::string_view words;
  };
  const auto spaced = write("spaced", "hf_a secret");
  const auto long_one = write("long", std::string(5000, 'x'));
  for (const auto& [path, words] :
       {Case{folder_.string(), "is a folder"}, Case{spaced.string(), "something else than a token"},
        Case{long_one.string(), "longer than any token"},
        Case{"relative/token", "HF_TOKEN_PATH holds no absolute path"}}) {
    const auto settings = settings_of({{"HF_TOKEN_PATH", path}});
    EXPECT_EQ(settings.hugging_face.token, "") << path;
    EXPECT_THAT(settings.warnings, ElementsAre(AllOf(HasSubstr(words), HasSubstr("HF_TOKEN"),
                                                     Not(HasSubstr("secret")))));
  }
}

TEST_F(HubToken, OfAFileThatAllMayReadIsUsedWithAWarning) {
  const auto path = write("token", "hf_open", 0644);
  const auto settings = settings_of({{"HF_TOKEN_PATH", path.string()}});
  EXPECT_EQ(settings.hugging_face.token, "hf_open");
  EXPECT_THAT(settings.warnings, ElementsAre(AllOf(HasSubstr("chmod 600 " + path.string()),
                                                   Not(HasSubstr("hf_open")))));
}

TEST_F(HubToken, IsWarnedOfOnce) {
  const auto path = write("token", "hf_open", 0644);
  std::ostringstream log;
  const auto before = spdlog::default_logger();
  spdlog::set_default_logger(std::make_shared<spdlog::logger>(
      "test", std::make_shared<spdlog::sinks::ostream_sink_mt>(log)));
  ::setenv("HF_TOKEN_PATH", path.c_str(), 1);
  ::unsetenv("HF_TOKEN");
  EXPECT_EQ(read_hub_settings()->hugging_face.token, "hf_open");
  const auto once = log.str();
  EXPECT_TRUE(read_hub_settings());
  ::unsetenv("HF_TOKEN_PATH");
  spdlog::set_default_logger(before);
  EXPECT_THAT(once, HasSubstr("chmod 600"));
  EXPECT_EQ(log.str(), once);
}

TEST(HuggingFaceHome, IsAnAbsolutePathOrNamesTheVariable) {
  const auto home = [](const Environment& environment) {
    return hugging_face_home([&](const char* name) -> const char* {
      const auto found = environment.find(name);
      return found == environment.end() ? nullptr : found->second.c_str();
    });
  };
  EXPECT_EQ(home({{"HOME", "/h"}, {"HF_HOME", "$NONE/x"}}).error().field, "HF_HOME");
  EXPECT_EQ(home({{"HOME", "/h"}, {"HF_HOME", "/a/$X/${Y}z"}, {"X", "x"}, {"Y", "y"}}), "/a/x/yz");
  EXPECT_EQ(home({{"HOME", "/h"}, {"XDG_CACHE_HOME", "c"}}).error().field, "XDG_CACHE_HOME");
  EXPECT_EQ(home({}).error().field, "HOME");
}

}  // namespace
}  // namespace berth::sources
