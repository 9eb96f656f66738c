#include "sources/cache/places.h"

#include <map>

#include <gmock/gmock.h>

namespace berth::sources {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

using Environment = std::map<std::string, std::string>;

Result<CachePlaces> read(const Environment& environment) {
  return read_cache_places([&](const char* name) -> const char* {
    const auto found = environment.find(name);
    return found == environment.end() ? nullptr : found->second.c_str();
  });
}

TEST(CachePlaces, AreBelowHomeWhereNothingIsSet) {
  const auto places = read({{"HOME", "/home/a"}, {"HF_HOME", ""}});
  ASSERT_TRUE(places) << places.error().to_string();
  EXPECT_EQ(places->hugging_face, "/home/a/.cache/huggingface/hub");
  EXPECT_EQ(places->model_scope, "/home/a/.cache/modelscope");
  EXPECT_EQ(places->ollama, "/home/a/.ollama/models");
  EXPECT_EQ(places->known_digests, "/home/a/.cache/berth/digests");
  EXPECT_THAT(places->others, ElementsAre("/var/lib/gpustack/cache"));
  EXPECT_THAT(places->other_ollama, ElementsAre("/usr/share/ollama/.ollama/models"));
}

TEST(CachePlaces, OfHuggingFaceFollowItsVariablesInItsOrder) {
  Environment environment{{"HOME", "/home/a"}};
  const auto place = [&] { return read(environment).value().hugging_face.string(); };
  environment["XDG_CACHE_HOME"] = "/x";
  EXPECT_EQ(place(), "/x/huggingface/hub");
  environment["HF_HOME"] = "~/hf/";
  EXPECT_EQ(place(), "/home/a/hf/hub");
  environment["HUGGINGFACE_HUB_CACHE"] = "/old";
  EXPECT_EQ(place(), "/old");
  environment["HF_HUB_CACHE"] = "/models//hub/";
  EXPECT_EQ(place(), "/models/hub");
}

TEST(CachePlaces, OfTheOthersFollowTheirVariables) {
  const auto places = read({{"HF_HOME", "/hf"},
                            {"MODELSCOPE_CACHE", "/ms"},
                            {"OLLAMA_MODELS", "/usr/share/ollama/.ollama/models"},
                            {"XDG_CACHE_HOME", "/x"},
                            {"BERTH_MODEL_CACHES", "/a/cache::/b/"}});
  ASSERT_TRUE(places) << places.error().to_string();  // without HOME
  EXPECT_EQ(places->model_scope, "/ms");
  EXPECT_EQ(places->ollama, "/usr/share/ollama/.ollama/models");
  EXPECT_THAT(places->other_ollama, ElementsAre());
  EXPECT_THAT(places->others, ElementsAre("/a/cache", "/b", "/var/lib/gpustack/cache"));
}

TEST(CachePlaces, RefuseWhatIsNoAbsolutePath) {
  for (const char* name : {"HF_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME", "MODELSCOPE_CACHE",
                           "OLLAMA_MODELS", "BERTH_MODEL_CACHES"}) {
    const auto places = read({{"HOME", "/home/a"}, {name, "models"}});
    ASSERT_FALSE(places) << name;
    EXPECT_EQ(places.error().code, ErrorCode::invalid_parameter);
    EXPECT_EQ(places.error().field, name);
    EXPECT_THAT(places.error().message, HasSubstr(name));
  }
  const auto homeless = read({});
  ASSERT_FALSE(homeless);
  EXPECT_EQ(homeless.error().field, "HOME");
}

}  // namespace
}  // namespace berth::sources
