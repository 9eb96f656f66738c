#include "engines/install_environment.h"

#include "engines/progress.h"

#include <gmock/gmock.h>

namespace berth::engines {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Key;
using ::testing::Not;
using ::testing::Pair;

TEST(InstallerEnvironment, PassesWhatConcernsTheNetworkAndNothingThatRedirects) {
  const auto environment = installer_environment({{"PATH", "/bin"},
                                                  {"https_proxy", "http://p"},
                                                  {"PIP_INDEX_URL", "https://i"},
                                                  {"SSL_CERT_FILE", "/ca"},
                                                  {"PIP_TARGET", "/x"},
                                                  {"UV_PYTHON_DOWNLOADS", "automatic"},
                                                  {"PYTHONPATH", "/y"},
                                                  {"VIRTUAL_ENV", "/z"},
                                                  {"SOME_SECRET", "s"}},
                                                 "/data");
  for (const auto* name : {"PATH", "https_proxy", "PIP_INDEX_URL", "SSL_CERT_FILE"}) {
    EXPECT_THAT(environment, Contains(Key(name)));
  }
  for (const auto* name : {"PIP_TARGET", "PYTHONPATH", "VIRTUAL_ENV", "SOME_SECRET"}) {
    EXPECT_THAT(environment, Not(Contains(Key(name))));
  }
  EXPECT_THAT(environment, Contains(Pair("UV_PYTHON_DOWNLOADS", "never")));
  EXPECT_THAT(environment, Contains(Pair("UV_CACHE_DIR", "/data/cache/uv")));
}

TEST(PipConfig, PrefersTheEnvironmentThenInstallThenGlobal) {
  const auto config = parse_pip_config(
      ":env:.index-url='https://env'\n"
      "global.index-url='https://global'\n"
      "global.cert='/global.pem'\n"
      "install.cert='/install.pem'\n"
      "install.find-links='/a\\n/b'\n"
      "list.format='json'\n"
      "WARNING: something else = here\n");
  EXPECT_THAT(config, ElementsAre(Pair("cert", "/install.pem"), Pair("find-links", "/a /b"),
                                  Pair("index-url", "https://env")));
}

TEST(UvSettings, AreTranslatedFromPipsWhereTheUserSetNone) {
  Environment environment = {{"UV_HTTP_TIMEOUT", "9"}};
  add_uv_settings(environment, {{"index-url", "https://i"},
                                {"extra-index-url", "https://a https://b"},
                                {"find-links", "https://links /nowhere/at/all /tmp"},
                                {"cert", "/ca.pem"},
                                {"trusted-host", "h1 h2"},
                                {"timeout", "60"}});
  EXPECT_THAT(environment, Contains(Pair("UV_DEFAULT_INDEX", "https://i")));
  EXPECT_THAT(environment, Contains(Pair("UV_INDEX", "https://a https://b")));
  EXPECT_THAT(environment, Contains(Pair("UV_FIND_LINKS", "https://links,/tmp")));
  EXPECT_THAT(environment, Contains(Pair("SSL_CERT_FILE", "/ca.pem")));
  EXPECT_THAT(environment, Contains(Pair("UV_INSECURE_HOST", "h1 h2")));
  EXPECT_THAT(environment, Contains(Pair("UV_HTTP_TIMEOUT", "9")));
}

TEST(UvSettings, KeepTheUsersOwnIndex) {
  Environment environment = {{"UV_INDEX_URL", "https://mine"}};
  add_uv_settings(environment, {{"index-url", "https://pip"}});
  EXPECT_THAT(environment, ElementsAre(Pair("UV_INDEX_URL", "https://mine")));
}

TEST(UvSettings, TurnNoIndexIntoAFlag) {
  EXPECT_THAT(uv_flags({{"no-index", "true"}}), ElementsAre("--no-index"));
  EXPECT_THAT(uv_flags({{"no-index", "0"}}), IsEmpty());
  EXPECT_THAT(uv_flags({}), IsEmpty());
}

TEST(StepIn, ReadsUvAndPip) {
  EXPECT_EQ(step_in("Downloading xllamacpp (32.3MiB)"), "downloading xllamacpp (32.3MiB)");
  EXPECT_EQ(step_in(" Downloaded xllamacpp"), "downloaded xllamacpp");
  EXPECT_EQ(step_in("Installing collected packages: uv"), "installing collected packages: uv");
  EXPECT_EQ(step_in("DEBUG [45/278] Building CXX object a.o"), "compiled 45 of 278 files");
  EXPECT_EQ(step_in("DEBUG [45/x] Building"), std::nullopt);
  EXPECT_EQ(step_in("DEBUG [] a/b"), std::nullopt);
  EXPECT_EQ(step_in(" + xllamacpp==1"), std::nullopt);
  EXPECT_EQ(step_in("error: Downloading failed"), std::nullopt);
  EXPECT_EQ(step_in(""), std::nullopt);
}

}  // namespace
}  // namespace berth::engines
