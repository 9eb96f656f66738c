#include "store/typed.h"

#include "store/test_database.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::store {
namespace {

using testing::HasSubstr;

struct Item {
  std::string text;
  int number = 7;
};
BOOST_DESCRIBE_STRUCT(Item, (), (text, number))

class TypedTest : public testing::Test {
 protected:
  SqliteTestDatabase database_;
  std::unique_ptr<Store> opened_ = database_.open({});
  Store& store_ = *opened_;
};

TEST_F(TypedTest, ReadsWhatItPut) {
  ASSERT_TRUE(put_new(store_, "item", "a", Item{.text = "x", .number = 3}));
  const auto item = get_as<Item>(store_, "item", "a");
  EXPECT_EQ(item->value.text, "x");
  EXPECT_EQ(item->value.number, 3);
  EXPECT_EQ(item->revision, 1u);
  EXPECT_EQ(put_new(store_, "item", "a", Item{}).error().code, ErrorCode::already_exists);
}

TEST_F(TypedTest, ListsWithTheRevisionToWatchFrom) {
  ASSERT_TRUE(put_new(store_, "item", "b", Item{}));
  ASSERT_TRUE(put_new(store_, "item", "a", Item{}));
  ASSERT_TRUE(store_.put("other", "c", {}));
  const auto list = list_as<Item>(store_, "item");
  ASSERT_EQ(list->items.size(), 2u);
  EXPECT_EQ(list->items[0].name, "a");
  EXPECT_EQ(list->items[0].revision, 2u);
  EXPECT_EQ(list->revision, 3u);
}

TEST_F(TypedTest, ADocumentOfAnotherShapeIsNamed) {
  ASSERT_TRUE(store_.put("item", "a", {{"number", "many"}}));
  const auto error = get_as<Item>(store_, "item", "a").error();
  EXPECT_EQ(error.code, ErrorCode::internal);
  EXPECT_THAT(error.to_string(), HasSubstr("item a"));
  EXPECT_THAT(error.to_string(), HasSubstr("number"));
  EXPECT_EQ(list_as<Item>(store_, "item").error().code, ErrorCode::internal);
}

TEST_F(TypedTest, AnUpdateKeepsMembersThatItDoesNotKnow) {
  ASSERT_TRUE(store_.put("item", "a", {{"text", "x"}, {"newer", 1}}));
  const auto stored = update<Item>(store_, "item", "a", [](Item& item) { item.text = "y"; });
  EXPECT_EQ(stored->revision, 2u);
  EXPECT_EQ(stored->value.text, "y");
  EXPECT_EQ(store_.get("item", "a")->data,
            (json::object{{"text", "y"}, {"newer", 1}, {"number", 7}}));
}

TEST_F(TypedTest, AnUpdateThatChangesNothingWritesNothing) {
  ASSERT_TRUE(put_new(store_, "item", "a", Item{}));
  EXPECT_EQ(update<Item>(store_, "item", "a", [](Item&) {})->revision, 1u);
  const auto left = update<Item>(store_, "item", "a", [](Item& item) {
    item.number = 8;
    return false;
  });
  EXPECT_EQ(left->revision, 1u);
  EXPECT_EQ(store_.revision().value(), 1u);
}

TEST_F(TypedTest, AnUpdatePassesOnWhatTheChangeSays) {
  ASSERT_TRUE(put_new(store_, "item", "a", Item{}));
  const auto refused = update<Item>(store_, "item", "a", [](Item&) -> Result<void> {
    return fail(ErrorCode::invalid_parameter, "not so");
  });
  EXPECT_EQ(refused.error().message, "not so");
  EXPECT_EQ(update<Item>(store_, "item", "b", [](Item&) {}).error().code, ErrorCode::not_found);
}

TEST_F(TypedTest, AnUpdateStartsAgainWhenAnotherWasQuicker) {
  ASSERT_TRUE(put_new(store_, "item", "a", Item{.number = 1}));
  int calls = 0;
  const auto stored = update<Item>(store_, "item", "a", [&](Item& item) {
    if (++calls == 1) EXPECT_TRUE(store_.put("item", "a", {{"number", 10}}));
    ++item.number;
  });
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(stored->value.number, 11);
}

TEST_F(TypedTest, AnUpdateGivesUpWhenAnotherIsAlwaysQuicker) {
  ASSERT_TRUE(put_new(store_, "item", "a", Item{}));
  int calls = 0;
  const auto stored = update<Item>(store_, "item", "a", [&](Item& item) {
    EXPECT_TRUE(store_.put("item", "a", {{"number", ++calls}}));
    item.text = "mine";
  });
  EXPECT_EQ(stored.error().code, ErrorCode::conflict);
}

TEST_F(TypedTest, AnUpsertBeginsWithDefaults) {
  const auto increment = [](Item& item) { ++item.number; };
  EXPECT_EQ(upsert<Item>(store_, "item", "a", increment)->value.number, 8);
  EXPECT_EQ(upsert<Item>(store_, "item", "a", increment)->value.number, 9);
  EXPECT_EQ(upsert<Item>(store_, "item", "b", [](Item&) { return false; })->revision, 0u);
  EXPECT_EQ(store_.list("item")->documents.size(), 1u);
}

}  // namespace
}  // namespace berth::store
