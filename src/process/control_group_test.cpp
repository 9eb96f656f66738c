#include "process/control_group.h"

#include "process/shim_fixture.h"

#include <fstream>

#include <gmock/gmock.h>

namespace berth::process {
namespace {

namespace fs = std::filesystem;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Folders and files with the names that the kernel gives them.
class MadeUpGroups : public ::testing::Test {
 protected:
  MadeUpGroups() {
    std::string pattern = (fs::temp_directory_path() / "berth-groups-XXXXXX").string();
    root_ = ::mkdtemp(pattern.data());
    make_group(root_ / "mount", "cpu memory");
    fs::remove(root_ / "mount/cgroup.type");
    put(root_ / "mountinfo", "30 1 0:9 / /proc rw - proc proc rw\n41 31 0:38 / " +
                                 (root_ / "mount").string() +
                                 " rw,relatime shared:4 - cgroup2 cgroup2 rw\n");
    be_in("/unit");
  }
  ~MadeUpGroups() override { fs::remove_all(root_); }

  static void put(const fs::path& file, const std::string& text) { std::ofstream(file) << text; }
  static std::string content(const fs::path& file) { return read_file(file).value_or("none"); }
  static void make_group(const fs::path& folder, const std::string& controllers) {
    fs::create_directories(folder);
    put(folder / "cgroup.controllers", controllers + "\n");
    put(folder / "cgroup.type", "domain\n");
    for (const char* name : {"cgroup.procs", "cgroup.subtree_control"}) put(folder / name, "");
  }
  fs::path be_in(const std::string& group, const std::string& controllers = "cpu memory") {
    put(root_ / "own", "5:cpu:/elsewhere\n0::" + group + "\n");
    fs::path folder = root_ / "mount" / group.substr(1);
    make_group(folder, controllers);
    return folder;
  }
  [[nodiscard]] Result<ControlGroups> find(const std::set<pid_t>& ours = {}) const {
    return ControlGroups::find(ours, {.mounts = root_ / "mountinfo", .own_group = root_ / "own"});
  }
  [[nodiscard]] std::string why_not() const {
    const auto groups = find();
    EXPECT_FALSE(groups);
    EXPECT_EQ(groups.error().code, ErrorCode::unsupported);
    return groups.error().to_string();
  }

  fs::path root_;
};

TEST_F(MadeUpGroups, AreFoundWhereThisProcessIs) {
  const auto groups = find();
  ASSERT_TRUE(groups) << groups.error().to_string();
  EXPECT_EQ(groups->folder(), root_ / "mount/unit");
  EXPECT_EQ(content(root_ / "mount/unit/cgroup.subtree_control"), "+memory");
}

TEST_F(MadeUpGroups, LeaveAFolderThatLimitsAlreadyAsItIs) {
  put(root_ / "mount/unit/cgroup.subtree_control", "cpu memory\n");
  put(root_ / "mount/unit/cgroup.procs", "1\n");
  ASSERT_TRUE(find());
  EXPECT_EQ(content(root_ / "mount/unit/cgroup.subtree_control"), "cpu memory\n");
}

TEST_F(MadeUpGroups, MoveThisProgramOutOfTheWay) {
  put(root_ / "mount/unit/cgroup.procs", std::to_string(::getpid()) + "\n");
  ASSERT_TRUE(find());
  EXPECT_EQ(content(root_ / "mount/unit/berth/cgroup.procs"), std::to_string(::getpid()));
}

TEST_F(MadeUpGroups, MoveOnlyWhatIsOurs) {
  put(root_ / "mount/unit/cgroup.procs", std::to_string(::getppid()) + "\n");
  EXPECT_THAT(why_not(), HasSubstr("processes of other programs"));
  EXPECT_FALSE(fs::exists(root_ / "mount/unit/berth"));
  EXPECT_TRUE(find({::getppid()}));
  EXPECT_EQ(content(root_ / "mount/unit/berth/cgroup.procs"), std::to_string(::getppid()));
}

TEST_F(MadeUpGroups, AreBesideTheSubgroupInWhichAServiceManagerPutsUs) {
  const fs::path own = be_in("/unit/berth");
  EXPECT_EQ(find()->folder(), root_ / "mount/unit");
  put(root_ / "mount/unit/cgroup.procs", "1\n");  // somebody's: not given to us
  EXPECT_EQ(find()->folder(), own);
}

TEST_F(MadeUpGroups, AreNotThereWithoutController) {
  be_in("/unit", "cpu pids");
  EXPECT_THAT(why_not(), HasSubstr("no memory controller"));
}

TEST_F(MadeUpGroups, AreNotThereWhereTheKernelHasNone) {
  put(root_ / "mountinfo", "30 1 0:9 / /proc rw - proc proc rw\n");
  EXPECT_THAT(why_not(), HasSubstr("no cgroup2 is mounted"));
}

TEST_F(MadeUpGroups, AreNotLookedForOutsideOfOurNamespace) {
  put(root_ / "own", "0::/../elsewhere\n");
  EXPECT_THAT(why_not(), HasSubstr("no group that it can see"));
}

TEST_F(MadeUpGroups, GetTheirLimitAndEndAsOne) {
  const ControlGroups groups(root_ / "mount/unit");
  const auto group = groups.make("berth-a-1", 3_GiB);
  ASSERT_TRUE(group);
  EXPECT_EQ(content(*group / "memory.max"), "3221225472");
  EXPECT_EQ(content(*group / "memory.oom.group"), "1");
  const auto free = groups.make("berth-a-2", std::nullopt);
  ASSERT_TRUE(free);
  EXPECT_FALSE(fs::exists(*free / "memory.max"));
  ASSERT_TRUE(groups.make("berth-b-1", std::nullopt));
  EXPECT_THAT(groups.list("berth-a-"), ElementsAre(*group, *free));
}

TEST_F(MadeUpGroups, TellHowOftenMemoryWasLacking) {
  const fs::path group = root_ / "mount/unit";
  EXPECT_EQ(memory_events(group), std::nullopt);
  put(group / "memory.events", "low 0\nhigh 0\nmax 7\noom 2\noom_kill 1\noom_group_kill 1\n");
  put(group / "memory.max", "3221225472\n");
  EXPECT_EQ(memory_events(group), (MemoryEvents{.kills = 1, .limit_misses = 2, .limit = 3_GiB}));
  put(group / "memory.max", "max\n");
  EXPECT_EQ(memory_events(group)->limit, std::nullopt);
}

// On the kernel's own, where this machine lets us: without controllers, which nothing here needs.
class RealGroups : public ShimFixture {
 protected:
  void SetUp() override {
    for (const char* mount : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
      if (!fs::exists(fs::path(mount) / "cgroup.subtree_control")) continue;
      if (auto made = ControlGroups(mount).make(tag_, std::nullopt)) group_ = *std::move(made);
    }
    if (group_.empty()) GTEST_SKIP() << "no cgroup2 that may be written";
  }
  ~RealGroups() override {
    if (!group_.empty()) EXPECT_TRUE(end_control_group(group_));
  }
  [[nodiscard]] ShimLaunch launch_inside(const std::string& script) const {
    ShimLaunch launch = launch_of(script);
    launch.spec.control_group = group_.string();
    return launch;
  }
  [[nodiscard]] std::string members() const {
    return read_file(group_ / "cgroup.procs").value_or("");
  }

  fs::path group_;
};

TEST_F(RealGroups, AreEnteredByTheEngineBeforeItStarts) {
  start(launch_inside("grep ^0:: /proc/self/cgroup; echo $$ > $D/pid; exec sleep 1000"));
  ASSERT_TRUE(eventually([&] { return content("pid").ends_with('\n'); }));
  EXPECT_EQ(members(), content("pid"));
  ASSERT_TRUE(request_kill(handle_));
  ended_state();
  EXPECT_THAT(content("attempt-2.log"), HasSubstr("/" + tag_));
  EXPECT_EQ(members(), "");
}

// Its environment does not tell whose it is, and nobody of its ancestors is left.
TEST_F(RealGroups, EndWhatTheShimCanNot) {
  start(
      launch_inside("setsid env -i sh -c 'echo $$ > '$D'/new; mv '$D'/new '$D'/nameless; exec "
                    "sleep 1000' & exec sleep 1000"));
  ASSERT_TRUE(wait_for_file("nameless"));
  ASSERT_TRUE(kill_shim(handle_));
  ASSERT_TRUE(wait_for_end(handle_, kPatience));
  ASSERT_TRUE(eventually([&] { return members() == content("nameless"); }));
  ASSERT_TRUE(end_control_group(group_));
  EXPECT_FALSE(fs::exists(group_));
  const pid_t pid = std::stoi(content("nameless"));
  EXPECT_TRUE(eventually([pid] { return ::kill(pid, 0) != 0; }));  // once somebody reaped it
}

TEST_F(RealGroups, ThatAreGoneHaveEnded) {
  ASSERT_TRUE(end_control_group(group_));
  EXPECT_TRUE(end_control_group(group_));
}

class LostGroup : public ShimFixture {};

TEST_F(LostGroup, CostsTheEngineALineInItsLog) {
  ShimLaunch launch = launch_of("echo serves");
  launch.spec.control_group = (folder_ / "none").string();
  start(launch);
  EXPECT_EQ(ended_state().exit_code, 0);
  EXPECT_THAT(content("attempt-2.log"), HasSubstr("none can not be entered: No such file"));
  EXPECT_THAT(content("attempt-2.log"), HasSubstr("serves"));
}

}  // namespace
}  // namespace berth::process
