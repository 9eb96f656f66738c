// The SQLite store and its file: damage, other schemas, full and read-only disks, a killed process.
#include "store/sqlite_store.h"

#include "base/files.h"
#include "store/sqlite_schema.h"
#include "store/test_database.h"

#include <array>
#include <csignal>
#include <fstream>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace berth::store {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class SqliteStoreTest : public testing::Test {
 protected:
  Result<std::unique_ptr<Store>> open() { return open_sqlite(database_.path()); }

  // A closed database of about 1 MB.
  void fill() {
    auto store = open();
    ASSERT_TRUE(store) << store.error().to_string();
    for (int i = 0; i < 10; ++i) {
      ASSERT_TRUE((*store)->put("model", std::to_string(i), {{"x", std::string(50'000, 'x')}}));
    }
  }

  void overwrite(std::streamoff at, const std::string& text) {
    std::fstream file(database_.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(at);
    file << text;
  }

  std::string content() { return read_file(database_.path()).value(); }

  // Refused with this code, and every byte as it was.
  void expect_refused(ErrorCode code, const std::string& message) {
    const std::string before = content();
    const auto store = open();
    ASSERT_FALSE(store);
    EXPECT_EQ(store.error().code, code);
    EXPECT_THAT(store.error().to_string(), HasSubstr(message));
    EXPECT_THAT(store.error().to_string(), HasSubstr(database_.path().string()));
    EXPECT_EQ(content(), before);
  }

  SqliteTestDatabase database_;
};

TEST_F(SqliteStoreTest, OnlyItsOwnerMayReadTheFiles) {
  const auto store = open();
  ASSERT_TRUE((*store)->put("model", "a", {}));
  for (const auto& entry : fs::directory_iterator(database_.folder)) {
    EXPECT_EQ(entry.status().permissions(), fs::perms::owner_read | fs::perms::owner_write)
        << entry.path();
  }
}

TEST_F(SqliteStoreTest, AFolderThatIsNotThereIsNamed) {
  const auto store = open_sqlite(database_.folder / "none" / "berth.db");
  EXPECT_EQ(store.error().code, ErrorCode::io);
  EXPECT_THAT(store.error().message, HasSubstr("none/berth.db"));
}

TEST_F(SqliteStoreTest, OneProcessAtATime) {
  const auto first = open();
  EXPECT_EQ(open().error().code, ErrorCode::conflict);
}

TEST_F(SqliteStoreTest, ADamagedPageIsRefused) {
  fill();
  overwrite(4096 * 20, std::string(4096 * 60, '\x5a'));
  expect_refused(ErrorCode::corrupt, "damaged");
}

TEST_F(SqliteStoreTest, ADamagedHeaderIsRefused) {
  fill();
  overwrite(0, "not a database at all");
  expect_refused(ErrorCode::corrupt, "damaged");
}

TEST_F(SqliteStoreTest, ACutFileIsRefused) {
  fill();
  fs::resize_file(database_.path(), 4096 * 30);
  expect_refused(ErrorCode::corrupt, "damaged");
}

TEST_F(SqliteStoreTest, AnEmptyFileIsRefused) {
  fill();
  fs::resize_file(database_.path(), 0);
  expect_refused(ErrorCode::corrupt, "it is empty");
}

TEST_F(SqliteStoreTest, ALogWithoutItsDatabaseIsKept) {
  std::ofstream(database_.path().string() + "-wal") << "precious";
  EXPECT_EQ(open().error().code, ErrorCode::corrupt);
  EXPECT_EQ(read_file(database_.path().string() + "-wal").value(), "precious");
}

// The log that a process leaves which is killed.
void leave_log(const fs::path& path) {
  const pid_t child = ::fork();
  if (child == 0) {
    const auto store = open_sqlite(path);
    const bool put = store && (*store)->put("model", "left in the log", {{"x", 1}});
    ::_exit(put ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_EQ(status, 0);
  ASSERT_GT(fs::file_size(path.string() + "-wal"), 0u);
}

TEST_F(SqliteStoreTest, ALogOfAnotherDatabaseIsRefused) {
  const SqliteTestDatabase other;
  leave_log(other.path());
  leave_log(database_.path());
  const std::string log = database_.path().string() + "-wal";
  fs::copy_file(other.path().string() + "-wal", log, fs::copy_options::overwrite_existing);
  const std::string before = read_file(log).value();
  expect_refused(ErrorCode::corrupt, "damaged");
  EXPECT_EQ(read_file(log).value(), before);
}

TEST_F(SqliteStoreTest, ALogWithADamagedHeadIsRefused) {
  leave_log(database_.path());
  const fs::path log = database_.path().string() + "-wal";
  for (const std::streamoff at : {0, 9, 17, 31}) {
    const std::string before = read_file(log).value();
    // Another value for sure: some of these bytes are random.
    const char other = static_cast<char>(before.at(static_cast<std::size_t>(at)) ^ '\x5a');
    std::fstream(log, std::ios::in | std::ios::out | std::ios::binary).seekp(at).put(other);
    const std::string damaged = read_file(log).value();
    ASSERT_NE(damaged, before);
    expect_refused(ErrorCode::corrupt, "does not begin as one");
    EXPECT_EQ(read_file(log).value(), damaged);
    std::ofstream(log, std::ios::binary | std::ios::trunc) << before;
  }
  EXPECT_EQ(open().value()->list("model")->documents.size(), 1u);
}

TEST_F(SqliteStoreTest, DamageIsOfTheServerOnceItRuns) {
  fill();
  const auto store = open();
  ASSERT_TRUE(store);
  overwrite(4096 * 3, std::string(4096 * 100, '\x5a'));
  const auto listing = (*store)->list("model");
  ASSERT_FALSE(listing);
  EXPECT_EQ(listing.error().code, ErrorCode::internal);
  EXPECT_THAT(listing.error().message, HasSubstr("damaged"));
  EXPECT_THAT(listing.error().message, HasSubstr(".recover"));
}

TEST_F(SqliteStoreTest, TellsWhoIsFarBehind) {
  const auto store = open();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE((*store)->put("model", "a", {{"x", std::string(1000, 'x')}}));
  }
  EXPECT_TRUE((*store)->is_behind(0, {"model"}, 2500_B));
  EXPECT_FALSE((*store)->is_behind(0, {"worker"}, 2500_B));
  EXPECT_FALSE((*store)->is_behind(1, {}, 2500_B));
  EXPECT_FALSE((*store)->is_behind(3, {}, 0_B));
}

TEST_F(SqliteStoreTest, ADatabaseOfAnotherProgramIsRefused) {
  std::ofstream(database_.path()).close();
  {
    auto other = sqlite::Connection::open(database_.path());
    ASSERT_TRUE((*other)->run("CREATE TABLE theirs(x)"));
  }
  expect_refused(ErrorCode::corrupt, "none of Berth");
}

TEST_F(SqliteStoreTest, AnAttemptToCreateThatWasKilledIsRepeated) {
  std::ofstream(database_.path().string() + ".new") << "half a data";
  EXPECT_TRUE(open());
}

TEST_F(SqliteStoreTest, ANewerSchemaIsRefusedWithTheWayBack) {
  fill();
  std::vector<std::string> steps(sqlite::schema_steps().begin(), sqlite::schema_steps().end());
  const auto known = steps.size();
  steps.emplace_back("CREATE TABLE newer(x BIGINT); INSERT INTO newer(x) VALUES (1);");
  ASSERT_TRUE(sqlite::open_database(database_.path(), steps));
  const std::string copy = fmt::format("{}.schema-{}", database_.path().string(), known);
  expect_refused(ErrorCode::unsupported, copy);

  fs::rename(copy, database_.path());
  EXPECT_EQ(fs::status(database_.path()).permissions(),
            fs::perms::owner_read | fs::perms::owner_write);
  const auto store = open();
  ASSERT_TRUE(store) << store.error().to_string();
  EXPECT_EQ((*store)->list("model")->documents.size(), 10u);
}

TEST_F(SqliteStoreTest, AFailedStepOfTheSchemaLeavesWhatWasThere) {
  fill();
  std::vector<std::string> steps(sqlite::schema_steps().begin(), sqlite::schema_steps().end());
  steps.emplace_back("CREATE TABLE newer(x BIGINT); INSERT INTO nothing VALUES (1);");
  EXPECT_FALSE(sqlite::open_database(database_.path(), steps));
  const auto store = open();
  ASSERT_TRUE(store) << store.error().to_string();
  EXPECT_EQ((*store)->list("model")->documents.size(), 10u);
}

TEST_F(SqliteStoreTest, AFieldThatIsNoPathIsRefused) {
  for (const char* field : {"", "a'b", "a b", "A"}) {
    const auto store = open_sqlite(database_.path(), {.indexed_fields = {field}});
    EXPECT_EQ(store.error().code, ErrorCode::invalid_parameter) << field;
  }
}

TEST_F(SqliteStoreTest, AReadOnlyFileIsNamed) {
  fill();
  // Root may write whatever the mode: be somebody else meanwhile, who owns the files.
  const bool root = ::geteuid() == 0;
  constexpr uid_t kNobody = 65534;
  fs::permissions(database_.path(), fs::perms::owner_read);
  if (root) {
    for (const fs::path& path :
         {database_.folder, database_.path(), fs::path(database_.path().string() + ".lock")}) {
      ASSERT_EQ(::chown(path.c_str(), kNobody, static_cast<gid_t>(-1)), 0);
    }
    ASSERT_EQ(::seteuid(kNobody), 0);
  }
  expect_refused(ErrorCode::io, "read-only");
  if (root) ASSERT_EQ(::seteuid(0), 0);
}

// What a full disk does, by a limit on the size of files.
TEST_F(SqliteStoreTest, AWriteThatDoesNotFitLeavesWhatWasThere) {
  auto store = open();
  ASSERT_TRUE((*store)->put("model", "a", {{"x", 1}}));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{.rlim_cur = 256 << 10, .rlim_max = before.rlim_max};
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto refused =
      (*store)->commit({{"model", "a", json::object{{"x", 2}}},
                        {"model", "b", json::object{{"x", std::string(500'000, 'x')}}}});
  const auto changes = (*store)->changes_since(0, {}, 10);
  const auto document = (*store)->get("model", "a");
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  std::signal(SIGXFSZ, handler);

  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ErrorCode::unavailable);
  EXPECT_THAT(refused.error().message, HasSubstr(database_.path().string()));
  EXPECT_EQ(changes->changes.size(), 1u);
  EXPECT_EQ(document->data.at("x"), 1);
  EXPECT_EQ((*store)->put("model", "a", {{"x", 3}}, 1).value(), 2u);
  store->reset();
  store = open();
  EXPECT_EQ((*store)->get("model", "a")->data.at("x"), 3);
  EXPECT_EQ((*store)->get("model", "b").error().code, ErrorCode::not_found);
}

TEST_F(SqliteStoreTest, AnAcknowledgedChangeSurvivesAKill) {
  std::array<int, 2> pipe{};
  ASSERT_EQ(::pipe(pipe.data()), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto store = open_sqlite(database_.path(), {.survive_power_loss = false});
    for (;;) {
      const auto revision = (*store)->put("model", "a", {{"x", 1}});
      if (!revision || ::write(pipe[1], &*revision, sizeof *revision) < 0) ::_exit(1);
    }
  }
  ASSERT_GT(child, 0);
  ::close(pipe[1]);
  Revision acknowledged = 0;
  Revision read = 0;
  while (::read(pipe[0], &read, sizeof read) == sizeof read) {
    acknowledged = read;
    if (acknowledged == 50) ::kill(child, SIGKILL);  // some more are on their way
  }
  ::close(pipe[0]);
  ::waitpid(child, nullptr, 0);
  const auto store = open();
  ASSERT_TRUE(store) << store.error().to_string();
  EXPECT_GE(acknowledged, 50u);
  EXPECT_GE((*store)->revision().value(), acknowledged);
  EXPECT_EQ((*store)->get("model", "a")->revision, (*store)->revision().value());
}

TEST_F(SqliteStoreTest, TheLogOfChangesIsBoundedInBytes) {
  auto store = open_sqlite(database_.path(), {.change_bytes_kept = 1000_B});
  for (int i = 0; i < 5; ++i) ASSERT_TRUE((*store)->put("k", "n", {{"x", std::string(300, 'x')}}));
  EXPECT_EQ((*store)->changes_since(2, {}, 10)->changes.size(), 3u);
  EXPECT_EQ((*store)->changes_since(1, {}, 10).error().code, ErrorCode::gone);
}

}  // namespace
}  // namespace berth::store
