#include "net/router.h"

#include <stdexcept>

#include <gtest/gtest.h>

namespace berth::net {
namespace {

Task<> nothing(Exchange&) { co_return; }

Router sample() {
  Router router;
  for (const char* pattern :
       {"/", "/v1/models", "/v1/models/{name}", "/v1/models/{name}/log", "/v1/models/special/log",
        "/v1/models/all", "/assets/{rest...}", "/v1/{kind}/x/{id}"}) {
    router.add("GET", pattern, nothing);
  }
  router.add("POST", "/v1/models", nothing);
  router.add("DELETE", "/v1/models/{name}", nothing);
  return router;
}

TEST(Router, FindsTheMostParticularRoute) {
  const Router router = sample();
  struct Case {
    const char* method;
    const char* path;
    const char* pattern;
    Exchange::Params params;
  };
  const Case cases[] = {
      {"GET", "/", "/", {}},
      {"GET", "/v1/models", "/v1/models", {}},
      {"HEAD", "/v1/models", "/v1/models", {}},
      {"POST", "/v1/models", "/v1/models", {}},
      {"GET", "/v1/models/a", "/v1/models/{name}", {{"name", "a"}}},
      {"GET", "/v1/models/all", "/v1/models/all", {}},
      {"DELETE", "/v1/models/all", "/v1/models/{name}", {{"name", "all"}}},
      {"GET", "/v1/models/org%2Fname", "/v1/models/{name}", {{"name", "org/name"}}},
      {"GET", "/v1/models/all/log", "/v1/models/{name}/log", {{"name", "all"}}},
      {"GET", "/v1/models/special/log", "/v1/models/special/log", {}},
      {"GET", "/v1/models/x/7", "/v1/{kind}/x/{id}", {{"kind", "models"}, {"id", "7"}}},
      {"GET", "/assets/js/a.js", "/assets/{rest...}", {{"rest", "js/a.js"}}},
  };
  for (const auto& c : cases) {
    const auto match = router.match(c.method, c.path);
    ASSERT_NE(match.handler, nullptr) << c.method << " " << c.path;
    EXPECT_EQ(match.pattern, c.pattern) << c.path;
    EXPECT_EQ(match.params, c.params) << c.path;
  }
}

TEST(Router, TellsUnknownPathsFromOtherMethods) {
  const Router router = sample();
  for (const char* path : {"/v1", "/v1/models/", "/v1/models/a/b", "/assets", "//", "/%zz"}) {
    const auto match = router.match("GET", path);
    EXPECT_EQ(match.handler, nullptr) << path;
    EXPECT_EQ(match.allow, "") << path;
  }
  EXPECT_EQ(router.match("PUT", "/v1/models").allow, "GET, POST");
  EXPECT_EQ(router.match("PUT", "/v1/models/a").allow, "DELETE, GET");
}

TEST(Router, FallsBackForUnknownPathsOnly) {
  Router router = sample();
  router.fallback(nothing);
  EXPECT_NE(router.match("GET", "/page").handler, nullptr);
  EXPECT_EQ(router.match("PUT", "/v1/models").handler, nullptr);
}

TEST(Router, RefusesBadPatterns) {
  for (const char* pattern : {"v1", "/{rest...}/a", "/{}", "/{a", "/v1/models"}) {
    Router router = sample();
    EXPECT_THROW(router.add("GET", pattern, nothing), std::logic_error) << pattern;
  }
}

}  // namespace
}  // namespace berth::net
