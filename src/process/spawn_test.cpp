#include "process/spawn.h"

#include "process/shim_fixture.h"

#include <atomic>
#include <csignal>
#include <sys/wait.h>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

namespace berth::process {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

SpawnOptions shell(const std::string& script) { return {.argv = {"sh", "-c", script}}; }

TEST(Run, CapturesBothStreamsAndTheExitCode) {
  const auto output = run(shell("echo out; echo err >&2; exit 4"));
  ASSERT_TRUE(output) << output.error().to_string();
  EXPECT_EQ(output->standard_output, "out\n");
  EXPECT_EQ(output->standard_error, "err\n");
  EXPECT_EQ(output->exit_code, 4);
  EXPECT_FALSE(output->ok());
}

TEST(Run, TellsTheSignalThatEndedTheProgram) {
  const auto output = run(shell("kill -ABRT $$"));
  ASSERT_TRUE(output);
  EXPECT_EQ(output->signal, SIGABRT);
}

TEST(Run, HandsOutLinesAsTheyCome) {
  std::vector<std::string> lines;
  const auto output = run(shell("printf 'one\\ntwo 10%%\\rtwo 20%%\\r\\n\\nlast'"), {},
                          [&lines](OutputStream stream, std::string_view line) {
                            EXPECT_EQ(stream, OutputStream::out);
                            lines.emplace_back(line);
                          });
  ASSERT_TRUE(output);
  EXPECT_THAT(lines, ElementsAre("one", "two 10%", "two 20%", "last"));
}

TEST(Run, MergesErrorsIntoTheOutputIfAsked) {
  SpawnOptions options = shell("echo a; echo b >&2; echo c");
  options.standard_error = {.kind = Stdio::Kind::to_stdout};
  EXPECT_EQ(run(options)->standard_output, "a\nb\nc\n");
}

TEST(Run, KeepsNoMoreThanTheLimitButReadsToTheEnd) {
  const auto output = run(shell("seq 1 100000; echo done >&2"), {.output = 1000_B});
  ASSERT_TRUE(output);
  EXPECT_EQ(output->standard_output.size(), 1000U);
  EXPECT_TRUE(output->truncated);
  EXPECT_EQ(output->standard_error, "done\n");
}

TEST(Run, KillsTheGroupAtTheDeadline) {
  std::string child;
  const auto output =
      run(shell("sleep 1000 & echo $!; wait"), {.timeout = std::chrono::milliseconds(300)},
          [&child](OutputStream, std::string_view line) { child = line; });
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().code, ErrorCode::timeout);
  EXPECT_THAT(output.error().message, HasSubstr("sh did not end within 300 ms"));
  const pid_t pid = std::stoi(child);
  EXPECT_TRUE(eventually([pid] { return ::kill(pid, 0) != 0; }));
}

TEST(Run, EndsWhenItIsStopped) {
  std::stop_source stop;
  const auto output = run(shell("echo up; exec sleep 1000"), {.stop = stop.get_token()},
                          [&stop](OutputStream, std::string_view) { stop.request_stop(); });
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().code, ErrorCode::cancelled);
}

TEST(Run, DoesNotWaitForWhatTheProgramLeftBehind) {
  const auto output = run(shell("sleep 1000 & echo ready"));
  ASSERT_TRUE(output);
  EXPECT_EQ(output->standard_output, "ready\n");
}

TEST(Run, UsesTheFolderAndTheEnvironmentGiven) {
  SpawnOptions options = shell("pwd; echo $A; echo ${HOME-no home}");
  options.working_directory = "/usr";
  options.environment = {{{"A", "b"}, {"PATH", "/usr/bin:/bin"}}};
  EXPECT_EQ(run(options)->standard_output, "/usr\nb\nno home\n");
}

TEST(Run, SaysThatAProgramIsNotThere) {
  const auto output = run({.argv = {"berth-no-such-program"}});
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().code, ErrorCode::not_found);
  EXPECT_EQ(output.error().to_string(),
            "starting berth-no-such-program: No such file or directory");
}

TEST(Run, SaysThatAFolderIsNotThere) {
  const auto output = run({.argv = {"true"}, .working_directory = "/no/such/folder"});
  ASSERT_FALSE(output);
  EXPECT_EQ(output.error().message, "starting true: there is no folder /no/such/folder");
  EXPECT_EQ(run({}).error().code, ErrorCode::invalid_parameter);
}

TEST(Spawn, PassesNoDescriptorOfOurs) {
  const int leaky = ::open("/dev/null", O_RDONLY);  // not close-on-exec
  ASSERT_GE(leaky, 3);
  const auto output = run(shell("ls /proc/self/fd"));
  ::close(leaky);
  EXPECT_EQ(output->standard_output, "0\n1\n2\n3\n");
}

TEST(Spawn, FeedsTheChildThroughAPipe) {
  auto child = spawn({.argv = {"tr", "a-z", "A-Z"},
                      .standard_input = {.kind = Stdio::Kind::pipe},
                      .standard_output = {.kind = Stdio::Kind::pipe}});
  ASSERT_TRUE(child);
  ASSERT_EQ(::write(child->standard_input.get(), "berth", 5), 5);
  child->standard_input.reset();
  std::array<char, 16> answer{};
  ASSERT_EQ(::read(child->standard_output.get(), answer.data(), answer.size()), 5);
  EXPECT_STREQ(answer.data(), "BERTH");
  ASSERT_TRUE(child->pidfd.wait(kPatience));
  EXPECT_TRUE(child->pidfd.reap());
}

TEST(Spawn, WorksFromManyThreadsAtOnce) {
  std::atomic<int> good = 0;
  std::vector<std::jthread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&good, thread] {
      for (int round = 0; round < 10; ++round) {
        const auto output = run(shell(fmt::format("echo {}; exit {}", thread, round)));
        if (output && output->exit_code == round &&
            output->standard_output == fmt::format("{}\n", thread)) {
          ++good;
        }
      }
    });
  }
  threads.clear();
  EXPECT_EQ(good, 40);
}

TEST(Run, TakesItsProgramAlongWhenItIsKilled) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  const pid_t runner = ::fork();
  if (runner == 0) {
    const auto output =
        run(shell("echo $$; exec sleep 1000"), {}, [&ends](OutputStream, std::string_view line) {
          if (::write(ends[1], line.data(), line.size()) < 0) ::_exit(2);
        });
    ::_exit(output ? 0 : 1);
  }
  ASSERT_GT(runner, 0);
  std::array<char, 32> text{};
  ASSERT_GT(::read(ends[0], text.data(), text.size() - 1), 0);
  const pid_t program = std::atoi(text.data());
  ASSERT_GT(program, 0);
  const auto pidfd = Pidfd::open(program);
  ASSERT_TRUE(pidfd);
  ::kill(runner, SIGKILL);
  EXPECT_TRUE(pidfd->wait(kPatience));
  ::waitpid(runner, nullptr, 0);
}

TEST(Spawn, GivesStreamsThatAreEachOthers) {
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  const OwnedFd read_end(ends[0]);
  OwnedFd write_end(ends[1]);
  SpawnOptions options = shell("echo out; echo err >&2");
  options.standard_output = {.kind = Stdio::Kind::fd, .fd = write_end.get()};
  options.standard_error = {.kind = Stdio::Kind::to_stdout};
  const auto child = spawn(options);
  ASSERT_TRUE(child);
  write_end.reset();
  ASSERT_TRUE(child->pidfd.wait(kPatience));
  std::array<char, 32> text{};
  EXPECT_EQ(::read(read_end.get(), text.data(), text.size() - 1), 8);
  EXPECT_STREQ(text.data(), "out\nerr\n");
  EXPECT_TRUE(child->pidfd.reap());
}

}  // namespace
}  // namespace berth::process
