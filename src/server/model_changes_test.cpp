#include "server/model_changes.h"

#include "server/test_context.h"
#include "store/typed.h"

#include <gtest/gtest.h>

namespace berth::server {
namespace {

using model::Model;

class ModelChanges : public ::testing::Test {
 protected:
  store::Revision put(std::uint32_t replicas) {
    return store_
        .put(model::kModelKind, "chat",
             store::to_data(Model{.deployment = {.name = "chat", .replicas = replicas}}))
        .value();
  }
  std::uint32_t replicas() {
    return store::get_as<Model>(store_, model::kModelKind, "chat")->value.deployment.replicas;
  }

  testing::TestContext context_;
  store::Store& store_ = context_->store;
};

Result<Model> with_replicas(const Model* before, std::uint32_t replicas) {
  Model model = before != nullptr ? *before : Model{.deployment = {.name = "chat"}};
  model.deployment.replicas = replicas;
  return model;
}

MakeModel to(std::uint32_t replicas) {
  return [replicas](const Model* before) { return with_replicas(before, replicas); };
}

TEST_F(ModelChanges, MakesChangesAndLeavesAlone) {
  const auto made = put_model(store_, "chat", {}, Write::really, to(2)).value();
  EXPECT_FALSE(made.before);
  const auto changed = put_model(store_, "chat", {}, Write::really, to(3)).value();
  EXPECT_TRUE(changed.differs);
  EXPECT_GT(changed.revision, made.revision);
  const auto same = put_model(store_, "chat", {}, Write::really, to(3)).value();
  EXPECT_FALSE(same.differs);
  EXPECT_EQ(same.revision, changed.revision);
}

TEST_F(ModelChanges, ADryRunWritesNothing) {
  EXPECT_FALSE(put_model(store_, "chat", {}, Write::dry_run, to(2))->before);
  EXPECT_FALSE(store_.get(model::kModelKind, "chat"));
  put(1);
  EXPECT_TRUE(put_model(store_, "chat", {}, Write::dry_run, to(2))->differs);
  EXPECT_EQ(replicas(), 1);
}

TEST_F(ModelChanges, AnotherRevisionIsAConflict) {
  const auto seen = put(1);
  put(5);
  const auto late = put_model(store_, "chat", {.revision = seen}, Write::really, to(2));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::conflict);
  EXPECT_EQ(replicas(), 5);
}

TEST_F(ModelChanges, AWriterWhoCameBetweenIsNotOverwritten) {
  const auto seen = put(1);
  bool came = false;
  const auto late =
      put_model(store_, "chat", {.revision = seen}, Write::really, [&](const Model* before) {
        if (!std::exchange(came, true)) put(5);
        return with_replicas(before, 2);
      });
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, ErrorCode::conflict);
  EXPECT_EQ(replicas(), 5);
}

TEST_F(ModelChanges, WithoutARevisionTheChangeIsMadeAnew) {
  put(1);
  bool came = false;
  const auto done =
      change_model(store_, "chat", {}, Write::really, [&](const Model& before) -> Result<Model> {
        if (!std::exchange(came, true)) put(5);
        return with_replicas(&before, before.deployment.replicas + 1);
      });
  ASSERT_TRUE(done);
  EXPECT_EQ(replicas(), 6);
}

TEST_F(ModelChanges, ConditionsOfBeingThere) {
  EXPECT_EQ(put_model(store_, "chat", {.must_exist = true}, Write::really, to(1)).error().code,
            ErrorCode::not_found);
  put(1);
  EXPECT_EQ(put_model(store_, "chat", {.must_be_new = true}, Write::really, to(1)).error().code,
            ErrorCode::already_exists);
}

TEST(Conditions, AreReadFromHeaders) {
  net::Request request;
  EXPECT_FALSE(read_condition(request)->revision);
  request.headers.set("if-match", "\"12\"");
  EXPECT_EQ(read_condition(request)->revision, 12);
  request.headers.set("if-match", "W/\"12\"");
  EXPECT_EQ(read_condition(request)->revision, 12);
  request.headers.set("if-match", "*");
  EXPECT_TRUE(read_condition(request)->must_exist);
  for (const char* wrong : {"12", "\"x\"", "\"12", "\"\"", "\"1\", \"2\""}) {
    request.headers.set("if-match", wrong);
    EXPECT_EQ(read_condition(request).error().field, "If-Match") << wrong;
  }
}

}  // namespace
}  // namespace berth::server
