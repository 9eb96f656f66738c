#include "server/openapi.h"

#include "server/admin_api.h"
#include "server/files_api.h"
#include "server/inspect_api.h"
#include "server/models_api.h"
#include "server/plan_api.h"
#include "server/schemas.h"
#include "server/stream_api.h"
#include "server/test_context.h"

#include <set>

#include <gtest/gtest.h>

namespace berth::server {
namespace {

// A server's routes without the server.
class OpenApi : public ::testing::Test {
 protected:
  OpenApi() {
    add_model_routes(router_, *context_);
    add_admin_routes(router_, *context_);
    add_stream_routes(router_, *context_);
    add_inspect_routes(router_, *context_);
    add_plan_routes(router_, *context_);
    add_files_routes(router_, *context_);
    add_openapi_routes(router_, *context_);
  }

  testing::TestContext context_;
  net::Router router_;
};

// Every "$ref" in `value`.
void collect_references(const json::value& value, std::set<std::string>& found) {
  if (const auto* array = value.if_array()) {
    for (const auto& element : *array) collect_references(element, found);
  }
  if (const auto* object = value.if_object()) {
    for (const auto& member : *object) {
      if (member.key() == "$ref") found.insert(std::string(member.value().as_string()));
      collect_references(member.value(), found);
    }
  }
}

TEST_F(OpenApi, EachRouteOfTheManagementApiIsDocumented) {
  for (const auto& route : router_.routes()) {
    EXPECT_FALSE(route.doc.summary.empty()) << route.method << " " << route.pattern;
    EXPECT_FALSE(route.doc.tag.empty()) << route.method << " " << route.pattern;
  }
}

TEST_F(OpenApi, JsonAnswersAndBodiesHaveASchema) {
  for (const auto& route : router_.routes()) {
    const bool is_json = route.doc.content_type == "application/json";
    EXPECT_EQ(is_json, static_cast<bool>(route.doc.response)) << route.method << route.pattern;
    const bool sends = route.method == "POST" || route.method == "PUT" || route.method == "PATCH";
    EXPECT_EQ(sends, static_cast<bool>(route.doc.request)) << route.method << route.pattern;
  }
}

TEST_F(OpenApi, TheDocumentHasEachRouteOnceAndItsPathParameters) {
  const auto document = openapi_document(router_.routes(), "1.2.3");
  std::set<std::string> ids;
  std::size_t operations = 0;
  for (const auto& path : document.at("paths").as_object()) {
    for (const auto& operation : path.value().as_object()) {
      ++operations;
      const auto& told = operation.value().as_object();
      EXPECT_TRUE(ids.insert(std::string(told.at("operationId").as_string())).second);
      EXPECT_TRUE(told.at("responses").as_object().contains("default"));
      if (path.key().find("{name}") != json::string_view::npos) {
        EXPECT_EQ(told.at("parameters").as_array().at(0).at("name"), "name") << path.key();
      }
    }
  }
  EXPECT_EQ(operations, router_.routes().size());
  EXPECT_EQ(document.at("info").at("version"), "1.2.3");
}

TEST_F(OpenApi, EachReferenceLeadsSomewhere) {
  const json::value document = openapi_document(router_.routes(), "1");
  std::set<std::string> references;
  collect_references(document, references);
  EXPECT_TRUE(references.contains("#/components/schemas/DeploymentInput"));
  for (const auto& reference : references) {
    ASSERT_TRUE(reference.starts_with("#/")) << reference;
    EXPECT_NO_THROW((void)document.at_pointer(reference.substr(1))) << reference;
  }
}

TEST_F(OpenApi, NoSecretIsPartOfAnAnswer) {
  const auto document = openapi_document(router_.routes(), "1");
  const auto& schemas = document.at("components").at("schemas");
  EXPECT_FALSE(schemas.at("Instance").at("properties").as_object().contains("engine_key"));
  EXPECT_FALSE(schemas.at("Worker").at("properties").as_object().contains("access_key"));
  EXPECT_FALSE(schemas.at("KeyRecord").at("properties").as_object().contains("hash"));
}

TEST_F(OpenApi, ARouteWithoutASummaryIsLeftOut) {
  net::Router router;
  router.add("GET", "/quiet", {});
  router.add("GET", "/told/{path...}", {}, {.summary = "Files", .tag = "t"});
  const auto document = openapi_document(router.routes(), "1");
  EXPECT_EQ(document.at("paths").as_object().size(), 1);
  EXPECT_TRUE(document.at("paths").as_object().contains("/told/{path}"));
}

TEST_F(OpenApi, ARouteOfTheApiWithoutADescriptionIsABug) {
  net::Router router;
  router.add("GET", "/page", {});
  add_openapi_routes(router, *context_);
  net::Router worse;
  worse.add("GET", "/api/v1/quiet", {});
  EXPECT_THROW(add_openapi_routes(worse, *context_), std::logic_error);
}

TEST(FileSchemas, TellDefaultsRangesAndWhatIsRequired) {
  const auto deployment = deployment_schema();
  EXPECT_EQ(deployment.at("required"), (json::array{"name", "source"}));
  EXPECT_EQ(deployment.at("additionalProperties"), false);
  const auto& replicas = deployment.at("properties").at("replicas");
  EXPECT_EQ(replicas.at("default"), 1);
  EXPECT_EQ(replicas.at("maximum"), 1000);
  const auto settings = settings_schema();
  EXPECT_EQ(settings.at("properties").at("listen").at("default"), "127.0.0.1:8080");
  EXPECT_EQ(settings.at("properties").at("log_level").at("enum").as_array().size(), 5);
}

}  // namespace
}  // namespace berth::server
