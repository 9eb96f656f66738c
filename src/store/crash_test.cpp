// Random histories that are cut off anywhere: by a kill, by a loss of power, by a full disk. After
// each the store is opened again and compared with a model: every acknowledged commit is there, at
// most one that was not acknowledged as well, each whole, and the changes since any revision are
// those of the model.
#include "store/faulty_disk.h"
#include "store/test_database.h"
#include "store/test_model.h"

#include <array>
#include <csignal>
#include <cstdlib>
#include <random>
#include <string>
#include <sys/wait.h>
#include <utility>
#include <vector>

#include <gtest/gtest.h>
#include <unistd.h>

namespace berth::store {
namespace {

constexpr std::size_t kChangesKept = 40;

int rounds() {
  const char* given = std::getenv("BERTH_FAULT_ROUNDS");
  return given != nullptr ? std::max(std::atoi(given), 1) : 15;
}

// A history that anybody who has the seed can repeat: each commit follows from the chance and from
// what was there before.
class Plan {
 public:
  explicit Plan(std::uint64_t seed) : chance_(seed) {}

  std::vector<Write> next(const Model& before) {
    Model after = before;
    std::vector<Write> writes;
    const std::uint64_t count = 1 + chance_() % 5;
    while (writes.size() < count) {
      Write write{.kind = "kind" + std::to_string(chance_() % 3),
                  .name = std::string(1, static_cast<char>('a' + chance_() % 6))};
      const bool removal = chance_() % 4 == 0;
      if (!removal) {
        const std::string text(chance_() % 6000, static_cast<char>('a' + chance_() % 26));
        write.data = json::object{{"number", chance_() % 1000}, {"text", text}};
      }
      if (!after.apply(write)) writes.push_back(std::move(write));
    }
    return writes;
  }

 private:
  std::mt19937_64 chance_;
};

void extend(Model& model, const std::vector<Write>& writes) {
  for (const Write& write : writes) ASSERT_FALSE(model.apply(write));
  model.keep(kChangesKept);
}

void expect_same(Store& store, const Model& model) {
  ASSERT_EQ(store.revision().value(), model.revision());
  std::size_t found = 0;
  for (int kind = 0; kind < 3; ++kind) {
    const auto listing = store.list("kind" + std::to_string(kind));
    ASSERT_TRUE(listing) << listing.error().to_string();
    for (const Document& got : listing->documents) {
      const auto want = model.documents.find({got.kind, got.name});
      ASSERT_NE(want, model.documents.end()) << got.kind << "/" << got.name;
      EXPECT_EQ(got.revision, want->second.revision);
      EXPECT_EQ(got.data, want->second.data);
      ++found;
    }
  }
  EXPECT_EQ(found, model.documents.size());
  for (Revision since = 0; since <= model.revision(); ++since) {
    const auto got = store.changes_since(since, {}, 1000);
    const auto want = model.since(since, {}, 1000);
    ASSERT_EQ(got.has_value(), want.has_value()) << "since " << since;
    if (!want) continue;
    ASSERT_EQ(got->changes.size(), want->changes.size()) << "since " << since;
    for (std::size_t i = 0; i < want->changes.size(); ++i) {
      EXPECT_EQ(got->changes[i].revision, want->changes[i].revision);
      EXPECT_EQ(got->changes[i].type, want->changes[i].type);
      EXPECT_EQ(got->changes[i].name, want->changes[i].name);
      EXPECT_EQ(got->changes[i].data, want->changes[i].data);
    }
  }
}

// Brings the model to where the store is after a crash: past everything `acknowledged`, by at most
// one commit more.
void catch_up(Store& store, Model& model, Plan& plan, Revision acknowledged) {
  const Revision reached = store.revision().value();
  ASSERT_GE(reached, acknowledged) << "an acknowledged commit is lost";
  while (model.revision() < reached) {
    ASSERT_LE(model.revision(), acknowledged) << "more than one commit was not acknowledged";
    extend(model, plan.next(model));
  }
  ASSERT_EQ(model.revision(), reached) << "a part of a commit is there";
  expect_same(store, model);
}

class StoreCrashTest : public testing::Test {
 protected:
  void SetUp() override { RecordProperty("seed", std::to_string(seed_)); }

  std::unique_ptr<Store> open(bool survive_power_loss) {
    auto store = open_sqlite(database_.path(), {.changes_kept = kChangesKept,
                                                .change_bytes_in_memory = 2_KiB,
                                                .survive_power_loss = survive_power_loss});
    EXPECT_TRUE(store) << store.error().to_string();
    return store ? std::move(*store) : nullptr;
  }

  // In a child that is killed: commits and acknowledges each by its last revision.
  [[noreturn]] void commit_for_ever(Model model, Plan plan, int acknowledgements) {
    const auto store = open(false);
    while (store) {
      const auto writes = plan.next(model);
      const auto done = store->commit(writes);
      extend(model, writes);
      if (!done || done->back() != model.revision()) break;
      const Revision revision = model.revision();
      if (::write(acknowledgements, &revision, sizeof revision) != sizeof revision) break;
    }
    ::_exit(1);
  }

  const std::uint64_t seed_ = std::random_device()();
  std::mt19937_64 chance_{seed_};
  SqliteTestDatabase database_;
  Model model_;
  Plan plan_{seed_ + 1};
};

TEST_F(StoreCrashTest, AKillAtAnyMomentLosesNothingThatWasAcknowledged) {
  SCOPED_TRACE(fmt::format("seed {}", seed_));
  for (int round = 0; round < rounds() && !HasFatalFailure(); ++round) {
    std::array<int, 2> pipe{};
    ASSERT_EQ(::pipe(pipe.data()), 0);
    const pid_t child = ::fork();
    if (child == 0) commit_for_ever(model_, plan_, pipe[1]);
    ASSERT_GT(child, 0);
    ::close(pipe[1]);
    const auto moment = static_cast<useconds_t>(chance_() % 60'000);
    ::usleep(moment);  // some die before they have opened the store, most within a commit
    ::kill(child, SIGKILL);
    Revision acknowledged = model_.revision();
    Revision read = 0;
    while (::read(pipe[0], &read, sizeof read) == sizeof read) acknowledged = read;
    ::close(pipe[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    ASSERT_TRUE(WIFSIGNALED(status)) << "a commit failed";
    const auto store = open(false);
    ASSERT_TRUE(store);
    catch_up(*store, model_, plan_, acknowledged);
  }
  EXPECT_GT(model_.revision(), 0U);
}

TEST_F(StoreCrashTest, ALossOfPowerLosesNothingThatWasAcknowledged) {
  SCOPED_TRACE(fmt::format("seed {}", seed_));
  open(true).reset();  // made on a disk with power
  FaultyDisk disk(seed_);
  for (int round = 0; round < rounds() && !HasFatalFailure(); ++round) {
    Revision acknowledged = model_.revision();
    {
      const auto store = open(true);
      ASSERT_TRUE(store);
      catch_up(*store, model_, plan_, acknowledged);
      disk.lose_power_after(1 + chance_() % 400);
      Plan ahead = plan_;
      Model after = model_;
      while (disk.has_power()) {
        const auto writes = ahead.next(after);
        const auto done = store->commit(writes);
        if (!done) break;
        extend(after, writes);
        acknowledged = after.revision();
      }
    }
    disk.restore_power();
    const auto store = open(true);
    ASSERT_TRUE(store);
    catch_up(*store, model_, plan_, acknowledged);
  }
  EXPECT_GT(model_.revision(), 0U);
}

TEST_F(StoreCrashTest, AFullDiskRefusesWritesAndGoesOnWhenThereIsSpace) {
  SCOPED_TRACE(fmt::format("seed {}", seed_));
  FaultyDisk disk(seed_);
  auto store = open(true);
  ASSERT_TRUE(store);
  for (int round = 0; round < rounds() && !HasFatalFailure(); ++round) {
    disk.fill_up_after(chance_() % 300'000);
    auto writes = plan_.next(model_);
    auto done = store->commit(writes);
    while (done) {
      extend(model_, writes);
      writes = plan_.next(model_);
      done = store->commit(writes);
    }
    EXPECT_EQ(done.error().code, ErrorCode::unavailable) << done.error().to_string();
    EXPECT_NE(done.error().message.find(database_.path().string()), std::string::npos);
    expect_same(*store, model_);  // what is there can be read
    if (round % 3 == 2) {         // a server that ends meanwhile
      store.reset();
      store = open(true);
      ASSERT_TRUE(store);
      expect_same(*store, model_);
    }
    disk.free_space();
    const auto again = store->commit(writes);
    ASSERT_TRUE(again) << again.error().to_string();
    extend(model_, writes);
    expect_same(*store, model_);
  }
}

}  // namespace
}  // namespace berth::store
