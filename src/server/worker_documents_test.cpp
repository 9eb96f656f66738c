#include "server/worker_documents.h"

#include "model/instance.h"
#include "server/test_context.h"

#include <gtest/gtest.h>

namespace berth::server {
namespace {

class WorkerDocumentsTest : public ::testing::Test {
 protected:
  void put(const std::string& name, const std::string& address) {
    ASSERT_TRUE(store().put(model::kWorkerKind, name,
                            store::to_data(model::Worker{.name = name, .address = address})));
  }
  store::Store& store() { return context_->store; }
  std::string address_of(const std::string& name) {
    const auto now = documents_.now();
    EXPECT_TRUE(now);
    const auto found = (*now)->find(name);
    return found == (*now)->end() ? "none" : found->second.address;
  }

  testing::TestContext context_;
  WorkerDocuments documents_{context_->store};
};

TEST_F(WorkerDocumentsTest, FollowWhatIsWritten) {
  put("a", "one");
  EXPECT_EQ(address_of("a"), "one");
  put("b", "two");
  put("a", "three");
  EXPECT_EQ(address_of("a"), "three");
  EXPECT_EQ(address_of("b"), "two");
  ASSERT_TRUE(store().remove(model::kWorkerKind, "a"));
  EXPECT_EQ(address_of("a"), "none");
}

TEST_F(WorkerDocumentsTest, AreListedAnewWhereTheChangesAreGone) {
  put("a", "one");
  put("b", "one");
  EXPECT_EQ(address_of("a"), "one");
  ASSERT_TRUE(store().remove(model::kWorkerKind, "b"));
  put("a", "two");
  ASSERT_TRUE(store().compact(1));
  EXPECT_EQ(address_of("a"), "two");
  EXPECT_EQ(address_of("b"), "none");
}

TEST_F(WorkerDocumentsTest, AreReadAgainAfterADocumentThatCouldNotBeRead) {
  put("a", "one");
  EXPECT_EQ(address_of("a"), "one");
  ASSERT_TRUE(store().put(model::kWorkerKind, "b", {{"address", 5}}));
  EXPECT_FALSE(documents_.now());
  put("b", "two");
  EXPECT_EQ(address_of("b"), "two");
}

}  // namespace
}  // namespace berth::server
