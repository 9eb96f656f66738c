#include "engine.h"

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <vector>

#include <fcntl.h>
#include <unistd.h>

namespace berth::shim {
namespace {

using berth::process::ShimSpec;

enum class Step : int { prepare, enter, execute };
struct Failure {
  Step step = Step::prepare;
  int error = 0;
};

std::vector<std::string> environment_of(const ShimSpec& spec) {
  std::vector<std::string> environment;
  environment.reserve(spec.environment.size() + 4);
  const std::pair<std::string, std::string> tags[] = {
      {std::string(berth::process::kClusterVariable), spec.cluster},
      {std::string(berth::process::kInstanceVariable), spec.instance},
      {std::string(berth::process::kGenerationVariable), std::to_string(spec.generation)},
      // Else Python's setproctitle writes its titles over the tags in /proc/PID/environ.
      {"SPT_NOENV", "1"},
  };
  for (const auto& [name, value] : spec.environment) {
    bool is_tag = false;
    for (const auto& tag : tags) is_tag = is_tag || tag.first == name;
    if (!is_tag) environment.push_back(name + "=" + value);
  }
  for (const auto& [name, value] : tags) environment.push_back(name + "=" + value);
  return environment;
}

std::vector<char*> pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  out.reserve(texts.size() + 1);
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

[[noreturn]] void give_up(int report, Step step) {
  const Failure failure{step, errno};
  // If even this fails, the exit code is all there is.
  const ssize_t written = ::write(report, &failure, sizeof failure);
  ::_exit(written == sizeof failure ? 127 : 126);
}

// Before the exec, so that all that the engine ever starts is in it. An engine without its group is
// better than none: what can not be entered is told in its log.
void enter_group(const std::string& group) {
  if (group.empty()) return;
  const std::string members = group + "/cgroup.procs";
  const int fd = ::open(members.c_str(), O_WRONLY | O_CLOEXEC);
  if (fd >= 0 && ::write(fd, "0", 1) == 1) {
    ::close(fd);
    return;
  }
  ::dprintf(2, "berth-shim: %s can not be entered: %s; the engine runs without a limit of memory\n",
            group.c_str(), ::strerrordesc_np(errno));
}

// In the child, up to the exec. `report` is close-on-exec.
[[noreturn]] void become_engine(const ShimSpec& spec, pid_t shim, int output, int report) {
  if (::setsid() < 0) give_up(report, Step::prepare);
  if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) give_up(report, Step::prepare);
  if (::getppid() != shim) ::_exit(126);  // the shim died before the line above
  const rlimit no_core{0, 0};
  if (::setrlimit(RLIMIT_CORE, &no_core) != 0) give_up(report, Step::prepare);
  const int null = ::open("/dev/null", O_RDONLY | O_CLOEXEC);
  if (null < 0 || ::dup2(null, 0) < 0 || ::dup2(output, 1) < 0 || ::dup2(output, 2) < 0) {
    give_up(report, Step::prepare);
  }
  enter_group(spec.control_group);
  for (int number = 1; number < NSIG; ++number) ::signal(number, SIG_DFL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  const char* const directory =
      spec.working_directory.empty() ? "/" : spec.working_directory.c_str();
  if (::chdir(directory) != 0) give_up(report, Step::enter);
  std::vector<std::string> arguments = spec.argv;
  std::vector<std::string> environment = environment_of(spec);
  ::execve(arguments.front().c_str(), pointers(arguments).data(), pointers(environment).data());
  give_up(report, Step::execute);
}

std::string describe(const Failure& failure, const ShimSpec& spec) {
  std::string text = "preparing the engine's process";
  if (failure.step == Step::enter) text = "entering the folder " + spec.working_directory;
  if (failure.step == Step::execute) text = "exec " + spec.argv.front();
  return text + ": " + ::strerrordesc_np(failure.error);
}

}  // namespace

Engine start_engine(const ShimSpec& spec) {
  int output[2] = {-1, -1};
  int report[2] = {-1, -1};
  const pid_t shim = ::getpid();
  pid_t child = -1;
  if (::pipe2(output, O_CLOEXEC) == 0 && ::pipe2(report, O_CLOEXEC) == 0) child = ::fork();
  if (child < 0) return {.error = describe({Step::prepare, errno}, spec)};
  if (child == 0) become_engine(spec, shim, output[1], report[1]);
  ::close(output[1]);
  ::close(report[1]);

  Failure failure;
  ssize_t n = 0;
  do {
    n = ::read(report[0], &failure, sizeof failure);
  } while (n < 0 && errno == EINTR);
  ::close(report[0]);
  if (n == sizeof failure) {
    ::waitpid(child, nullptr, 0);
    ::close(output[0]);
    return {.error = describe(failure, spec)};
  }
  ::fcntl(output[0], F_SETFL, O_NONBLOCK);
  Engine engine{.pid = child, .output = output[0]};
  rlimit core{};
  if (::prlimit(child, RLIMIT_CORE, nullptr, &core) == 0) engine.core_limit = core.rlim_max;
  return engine;
}

}  // namespace berth::shim
