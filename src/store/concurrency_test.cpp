// Many writers and watchers at once, on every implementation of Store.
#include "store/test_database.h"
#include "store/typed.h"
#include "store/watch.h"

#include <atomic>
#include <map>
#include <thread>

#include <gtest/gtest.h>

namespace berth::store {
namespace {

struct Counter {
  std::uint64_t count = 0;
};
BOOST_DESCRIBE_STRUCT(Counter, (), (count))

constexpr int kWriters = 4;
constexpr int kUpdates = 60;
constexpr int kDocuments = 3;
constexpr std::size_t kTotal = kWriters * kUpdates;
// Long enough for any machine; reached only when the test fails.
SteadyTime far() { return real_clock().steady_now() + std::chrono::seconds(60); }

class StoreConcurrencyTest : public testing::TestWithParam<MakeTestDatabase> {
 protected:
  // Each writer counts up; all share the documents.
  void start_writers(const char* kind) {
    for (int writer = 0; writer < kWriters; ++writer) {
      threads_.emplace_back([this, writer, kind] {
        for (int i = 0; i < kUpdates; ++i) {
          const auto name = std::to_string((writer + i) % kDocuments);
          const auto stored =
              upsert<Counter>(*store_, kind, name, [](Counter& counter) { ++counter.count; });
          if (!stored) ++failures_;
        }
      });
    }
  }

  void join() {
    for (std::thread& thread : threads_) thread.join();
    threads_.clear();
  }

  std::unique_ptr<TestDatabase> database_ = GetParam()();
  std::unique_ptr<Store> store_ = database_->open({});
  std::vector<std::thread> threads_;
  std::atomic<int> failures_ = 0;
};

INSTANTIATE_TEST_SUITE_P(Sqlite, StoreConcurrencyTest, testing::Values(&make_sqlite_test_database),
                         [](const auto&) { return std::string("Sqlite"); });

TEST_P(StoreConcurrencyTest, NoUpdateIsLost) {
  start_writers("counter");
  join();
  EXPECT_EQ(failures_, 0);
  std::uint64_t sum = 0;
  const auto list = list_as<Counter>(*store_, "counter");
  ASSERT_TRUE(list);
  for (const auto& item : list->items) sum += item.value.count;
  EXPECT_EQ(sum, kTotal);
  EXPECT_EQ(store_->revision().value(), kTotal);
}

TEST_P(StoreConcurrencyTest, AWatcherSeesEveryChangeOnceAndInOrder) {
  const auto watch = store_->watch({"counter"}, 0, {});
  start_writers("counter");
  std::vector<Revision> seen;
  std::map<std::string, std::int64_t> counts;
  bool in_order = true;
  while (seen.size() < kTotal && watch->wait_until(far())) {
    const auto changes = watch->next(7);
    if (!changes) break;
    for (const Change& change : changes->changes) {
      seen.push_back(change.revision);
      const std::int64_t count = change.data.at("count").to_number<std::int64_t>();
      in_order = in_order && count == ++counts[change.name];
    }
  }
  join();
  EXPECT_EQ(failures_, 0);
  EXPECT_TRUE(in_order);
  ASSERT_EQ(seen.size(), kTotal);
  for (std::size_t i = 0; i < seen.size(); ++i) EXPECT_EQ(seen[i], i + 1);
}

TEST_P(StoreConcurrencyTest, AListThenAWatchFromItsRevisionLosesNothing) {
  start_writers("counter");
  bool equal = true;
  for (int round = 0; round < 20; ++round) {
    auto listing = store_->list("counter");
    ASSERT_TRUE(listing);
    std::map<std::string, json::object> state;
    for (auto& document : listing->documents) state[document.name] = document.data;
    const auto watch = store_->watch({"counter"}, listing->revision, {});
    const auto changes = watch->next();
    ASSERT_TRUE(changes) << changes.error().to_string();
    for (const Change& change : changes->changes) state[change.name] = change.data;
    std::int64_t sum = 0;  // each change adds one
    for (const auto& [name, data] : state) sum += data.at("count").to_number<std::int64_t>();
    equal = equal && sum == static_cast<std::int64_t>(changes->revision);
  }
  join();
  EXPECT_TRUE(equal);
}

TEST_P(StoreConcurrencyTest, WatchesComeAndGoWhileOthersWrite) {
  start_writers("counter");
  std::atomic<int> woken = 0;
  for (int i = 0; i < 200; ++i) {
    const auto watch = store_->watch({}, ~Revision{0}, [&](Revision) { ++woken; });
  }
  join();
  EXPECT_EQ(failures_, 0);
  EXPECT_EQ(store_->revision().value(), kTotal);
}

}  // namespace
}  // namespace berth::store
