#include "model/deployment.h"

#include <gtest/gtest.h>

namespace berth::model {
namespace {

Deployment deployment_with_variable(std::size_t size) {
  Deployment deployment;
  deployment.name = "m";
  deployment.source = "/models/m.gguf";
  deployment.env["FILLER"] = std::string(size, 'x');
  return deployment;
}

TEST(Deployment, TakesWhatEnvironmentsHave) {
  EXPECT_TRUE(validate(deployment_with_variable(100'000)).has_value());
}

TEST(Deployment, NamesTheFieldThatMakesItTooLarge) {
  const auto valid = validate(deployment_with_variable(200'000));
  ASSERT_FALSE(valid.has_value());
  EXPECT_EQ(valid.error().code, ErrorCode::invalid_parameter);
  EXPECT_EQ(valid.error().field, "env");
  EXPECT_NE(valid.error().message.find("the limit is 128.0 KiB"), std::string::npos)
      << valid.error().message;
}

}  // namespace
}  // namespace berth::model
