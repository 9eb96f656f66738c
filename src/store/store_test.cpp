// What every implementation of Store does.
#include "store/store.h"

#include "store/test_database.h"
#include "store/typed.h"
#include "store/watch.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::store {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Long enough for any machine; reached only when the test fails.
SteadyTime far() { return real_clock().steady_now() + std::chrono::seconds(60); }

json::object doc(int value) { return {{"value", value}}; }

class StoreTest : public testing::TestWithParam<MakeTestDatabase> {
 protected:
  void reopen(TestLimits limits = {}) {
    store_.reset();
    store_ = database_->open(limits);
  }
  Store& store() { return *store_; }

  std::vector<std::string> names(const Result<Listing>& listing) {
    std::vector<std::string> names;
    for (const auto& document : listing.value().documents) names.push_back(document.name);
    return names;
  }

  std::unique_ptr<TestDatabase> database_ = GetParam()();
  std::unique_ptr<Store> store_ = database_->open({});
};

INSTANTIATE_TEST_SUITE_P(Sqlite, StoreTest, testing::Values(&make_sqlite_test_database),
                         [](const auto&) { return std::string("Sqlite"); });

TEST_P(StoreTest, GivesBackWhatWasPut) {
  const json::object data{
      {"text", "ü\n"}, {"list", {1, -2, 2.5, nullptr, true}}, {"o", {{"x", 1}}}};
  EXPECT_EQ(store().put("model", "a", data).value(), 1u);
  const auto document = store().get("model", "a");
  ASSERT_TRUE(document);
  EXPECT_EQ(document->data, data);
  EXPECT_EQ(document->revision, 1u);
}

TEST_P(StoreTest, SaysWhatIsNotThere) {
  const auto document = store().get("model", "a");
  ASSERT_FALSE(document);
  EXPECT_EQ(document.error().code, ErrorCode::not_found);
  EXPECT_THAT(document.error().message, HasSubstr("no model is named a"));
  EXPECT_EQ(store().remove("model", "a").error().code, ErrorCode::not_found);
  EXPECT_EQ(store().put("model", "a", doc(1), 5).error().code, ErrorCode::not_found);
  EXPECT_TRUE(store().list("nothing")->documents.empty());
}

TEST_P(StoreTest, CreatesOnlyOnce) {
  ASSERT_TRUE(store().put("model", "a", doc(1), 0));
  EXPECT_EQ(store().put("model", "a", doc(2), 0).error().code, ErrorCode::already_exists);
  EXPECT_EQ(store().get("model", "a")->data, doc(1));
}

TEST_P(StoreTest, AConflictNamesBothRevisions) {
  ASSERT_TRUE(store().put("model", "a", doc(1)));
  ASSERT_TRUE(store().put("model", "a", doc(2)));
  const auto late = store().put("model", "a", doc(3), 1);
  EXPECT_EQ(late.error().code, ErrorCode::conflict);
  EXPECT_THAT(late.error().message, HasSubstr("at revision 2 and you had 1"));
  EXPECT_EQ(store().remove("model", "a", 1).error().code, ErrorCode::conflict);
  EXPECT_TRUE(store().remove("model", "a", 2));
}

TEST_P(StoreTest, ACommitIsAllOrNothing) {
  ASSERT_TRUE(store().put("model", "a", doc(1)));
  const auto failed = store().commit({{"model", "b", doc(2), 0}, {"model", "a", doc(3), 0}});
  EXPECT_EQ(failed.error().code, ErrorCode::already_exists);
  EXPECT_THAT(names(store().list("model")), ElementsAre("a"));
  EXPECT_EQ(store().revision().value(), 1u);
  const auto done = store().commit({{"model", "b", doc(2), 0}, {"model", "a", std::nullopt, 1}});
  EXPECT_THAT(done.value(), ElementsAre(2, 3));
  EXPECT_THAT(names(store().list("model")), ElementsAre("b"));
}

TEST_P(StoreTest, AnEmptyCommitChangesNothing) {
  EXPECT_TRUE(store().commit({}).value().empty());
  EXPECT_EQ(store().revision().value(), 0u);
}

TEST_P(StoreTest, RefusesWhatIsTooLargeOrCouldNotBeReadAgain) {
  const std::string large(kDocumentLimit.count, 'x');
  EXPECT_EQ(store().put("model", "a", {{"x", large}}).error().code, ErrorCode::too_large);
  EXPECT_EQ(store().put("model", "a", {{"x", "\xff"}}).error().code, ErrorCode::invalid_parameter);
  json::value deep = 1;
  for (int i = 0; i < 100; ++i) deep = json::array{deep};
  EXPECT_EQ(store().put("model", "a", {{"x", deep}}).error().code, ErrorCode::invalid_parameter);
  EXPECT_EQ(store().put("model", "", doc(1)).error().code, ErrorCode::invalid_parameter);
  EXPECT_EQ(store().put(std::string(513, 'k'), "a", doc(1)).error().code,
            ErrorCode::invalid_parameter);
  std::vector<Write> many;
  many.reserve(40);
  for (int i = 0; i < 40; ++i) {
    many.push_back({"model", std::to_string(i), json::object{{"x", large.substr(100)}}});
  }
  EXPECT_EQ(store().commit(many).error().code, ErrorCode::too_large);
  EXPECT_EQ(store().revision().value(), 0u);
}

TEST_P(StoreTest, KeepsNamesThatLookLikeSql) {
  const std::string name = "a'; DROP TABLE documents; --%_\"";
  ASSERT_TRUE(store().put("model", name, doc(1)));
  EXPECT_EQ(store().get("model", name)->data, doc(1));
  EXPECT_THAT(names(store().list("model")), ElementsAre(name));
}

TEST_P(StoreTest, ListsByAnIndexedField) {
  ASSERT_TRUE(store().put("instance", "1", {{"model", "a"}, {"status", {{"worker", "w"}}}}));
  ASSERT_TRUE(store().put("instance", "2", {{"model", "b"}}));
  ASSERT_TRUE(store().put("other", "3", {{"model", "a"}}));
  EXPECT_THAT(names(store().list("instance", "model", "a")), ElementsAre("1"));
  EXPECT_THAT(names(store().list("instance", "status.worker", "w")), ElementsAre("1"));
  EXPECT_THAT(names(store().list("instance", "model", "c")), ElementsAre());
  EXPECT_EQ(store().list("instance", "name", "1").error().code, ErrorCode::invalid_parameter);
}

TEST_P(StoreTest, TellsTheLastDataOfARemovedDocument) {
  ASSERT_TRUE(store().put("model", "a", doc(1)));
  ASSERT_TRUE(store().remove("model", "a"));
  const auto changes = store().changes_since(1, {}, 10);
  ASSERT_EQ(changes->changes.size(), 1u);
  EXPECT_EQ(changes->changes[0].type, ChangeType::remove);
  EXPECT_EQ(changes->changes[0].data, doc(1));
}

TEST_P(StoreTest, ChangesOfOtherKindsMoveTheRevisionOn) {
  ASSERT_TRUE(store().put("worker", "w", doc(1)));
  const auto changes = store().changes_since(0, {"model"}, 10);
  EXPECT_TRUE(changes->changes.empty());
  EXPECT_EQ(changes->revision, 1u);
  EXPECT_FALSE(changes->more);
}

TEST_P(StoreTest, ChangesOfAScopeAreThoseWithItsValue) {
  const auto scope = Scope::where({"duty"}, "worker", "a");
  ASSERT_TRUE(store().put("duty", "1", {{"worker", "a"}}));
  ASSERT_TRUE(store().put("duty", "2", {{"worker", "b"}}));
  ASSERT_TRUE(store().put("other", "3", {{"worker", "a"}}));
  ASSERT_TRUE(store().put("duty", "4", {{"worker", 1}}));
  ASSERT_TRUE(store().remove("duty", "1"));
  for (const bool from_disk : {false, true}) {
    if (from_disk) reopen({});
    const auto changes = store().changes_since(0, scope, 10);
    ASSERT_EQ(changes->changes.size(), 2u) << from_disk;
    EXPECT_EQ(changes->changes[0].revision, 1u);
    EXPECT_EQ(changes->changes[1].type, ChangeType::remove);
    EXPECT_EQ(changes->revision, 5u);
  }
}

TEST_P(StoreTest, CutsAnAnswerAtOneMebibyte) {
  const json::object large{{"x", std::string(400 << 10, 'x')}};
  for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(store().put("model", name, large));
  const auto changes = store().changes_since(0, {}, 10);
  EXPECT_EQ(changes->changes.size(), 2u);
  EXPECT_EQ(changes->revision, 2u);
  EXPECT_TRUE(changes->more);
}

TEST_P(StoreTest, RevisionsFromBeforeCompactionAndFromTheFutureAreGone) {
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(store().put("model", "a", doc(i)));
  ASSERT_TRUE(store().compact(2));
  EXPECT_EQ(store().changes_since(3, {}, 10)->changes.size(), 2u);
  EXPECT_EQ(store().changes_since(2, {}, 10).error().code, ErrorCode::gone);
  EXPECT_EQ(store().changes_since(6, {}, 10).error().code, ErrorCode::gone);
  EXPECT_EQ(store().changes_since(~Revision{0}, {}, 10).error().code, ErrorCode::gone);
}

TEST_P(StoreTest, IsTheSameAfterReopening) {
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(store().put("model", std::to_string(i), doc(i)));
  ASSERT_TRUE(store().remove("model", "3"));
  ASSERT_TRUE(store().compact(3));
  reopen();
  EXPECT_THAT(names(store().list("model")), ElementsAre("0", "1", "2", "4"));
  EXPECT_EQ(store().revision().value(), 6u);
  EXPECT_EQ(store().changes_since(3, {}, 10)->changes.size(), 3u);
  EXPECT_EQ(store().changes_since(2, {}, 10).error().code, ErrorCode::gone);
  EXPECT_EQ(store().put("model", "5", doc(5)).value(), 7u);
}

TEST_P(StoreTest, ForgetsOldChangesByItself) {
  reopen({.changes_kept = 3});
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(store().put("model", "a", doc(i)));
  EXPECT_EQ(store().changes_since(7, {}, 10)->changes.size(), 3u);
  EXPECT_EQ(store().changes_since(6, {}, 10).error().code, ErrorCode::gone);
}

TEST_P(StoreTest, WakesAWatchForItsKindsOnly) {
  std::vector<Revision> woken;
  const auto watch = store().watch({"model"}, 0, [&](Revision r) { woken.push_back(r); });
  ASSERT_TRUE(store().put("worker", "w", doc(1)));
  ASSERT_TRUE(store().put("model", "a", doc(1)));
  ASSERT_TRUE(store().commit({{"model", "a", doc(2)}, {"model", "b", doc(3)}}));
  EXPECT_THAT(woken, ElementsAre(2, 4));
  EXPECT_EQ(watch->next(2)->changes.size(), 2u);
  EXPECT_EQ(watch->position(), 3u);
  EXPECT_EQ(watch->next()->changes.size(), 1u);
  EXPECT_TRUE(watch->next()->changes.empty());
}

TEST_P(StoreTest, WakesAWatchAtOnceIfItIsBehind) {
  ASSERT_TRUE(store().put("model", "a", doc(1)));
  int woken = 0;
  const auto behind = store().watch({}, 0, [&](Revision) { ++woken; });
  const auto level = store().watch({}, 1, [&](Revision) { ++woken; });
  EXPECT_EQ(woken, 1);
  EXPECT_TRUE(behind->wait_until(far()));
  EXPECT_FALSE(level->wait_until(SteadyTime::min()));
}

TEST_P(StoreTest, AWatchOfAScopeSleepsThroughOtherChanges) {
  int woken = 0;
  const auto watch =
      store().watch(Scope::where({"duty"}, "worker", "a"), 0, [&](Revision) { ++woken; });
  ASSERT_TRUE(store().put("duty", "2", {{"worker", "b"}}));
  EXPECT_EQ(woken, 0);
  ASSERT_TRUE(store().put("duty", "1", {{"worker", "a"}}));
  ASSERT_TRUE(store().remove("duty", "1"));
  EXPECT_EQ(woken, 2);
  EXPECT_EQ(watch->next()->changes.size(), 2u);
}

TEST_P(StoreTest, AnEndedWatchIsNotCalled) {
  int woken = 0;
  store().watch({}, 0, [&](Revision) { ++woken; }).reset();
  ASSERT_TRUE(store().put("model", "a", doc(1)));
  EXPECT_EQ(woken, 0);
}

TEST_P(StoreTest, AnInterruptedWatchWaitsNoMore) {
  const auto watch = store().watch({}, 0, {});
  watch->interrupt();
  EXPECT_FALSE(watch->wait_until(far()));
}

TEST_P(StoreTest, AWatchThatIsTooFarBehindIsCut) {
  reopen({.changes_kept = 3});
  const auto watch = store().watch({}, 0, {});
  for (int i = 0; i < 4; ++i) ASSERT_TRUE(store().put("model", "a", doc(i)));
  EXPECT_EQ(watch->next().error().code, ErrorCode::gone);
}

TEST_P(StoreTest, KeepsTheNewestEvents) {
  reopen({.events_kept = 3});
  const SystemTime time{std::chrono::milliseconds(1'700'000'000'123)};
  for (const char* name : {"a", "b", "a", "b", "a"}) {
    ASSERT_TRUE(store().append_event({.time = time,
                                      .kind = "model",
                                      .name = name,
                                      .level = EventLevel::warning,
                                      .reason = "Failed",
                                      .message = "it's late"}));
  }
  const auto all = store().list_events({}, 10);
  ASSERT_EQ(all->size(), 3u);
  EXPECT_EQ(all->front().id, 5u);
  EXPECT_EQ(all->front().time, time);
  EXPECT_EQ(all->front().level, EventLevel::warning);
  EXPECT_EQ(all->front().reason, "Failed");
  EXPECT_EQ(all->front().message, "it's late");
  EXPECT_EQ(store().list_events({.kind = "model", .name = "b"}, 10)->size(), 1u);
  EXPECT_EQ(store().list_events({.level = EventLevel::info}, 10)->size(), 0u);
  EXPECT_EQ(store().list_events({.after_id = 4}, 10)->size(), 1u);
  EXPECT_EQ(store().list_events({}, 2)->size(), 2u);
}

TEST_P(StoreTest, CutsALongEventBetweenCharacters) {
  std::string message = "x";
  while (message.size() <= kEventTextLimit) message += "ü";
  ASSERT_TRUE(store().append_event({.time = {}, .kind = "k", .name = "n", .message = message}));
  EXPECT_EQ(store().list_events({}, 1)->front().message, message.substr(0, kEventTextLimit - 1));
}

}  // namespace
}  // namespace berth::store
