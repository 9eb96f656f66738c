"""The modules keep to what src/CMakeLists.txt declares."""

import re

from tree import ROOT, files, modules, relative

INCLUDE = re.compile(r'^\s*#\s*include\s+[<"]([a-z_]+)/([^">]+)[">]', re.MULTILINE)

# What a module may include of another that it may not use as a whole: the prefix of the files.
PARTS = {("gateway", "server"): "access"}


def test_every_folder_of_src_is_declared():
    folders = {path.name for path in (ROOT / "src").iterdir() if path.is_dir()}
    assert folders == set(modules())


def test_a_module_uses_only_modules_above_it():
    order = list(modules())
    wrong = [f"{name} uses {used}, declared below it"
             for name, uses in modules().items() for used in uses
             if order.index(used) >= order.index(name)]
    assert not wrong, "\n".join(wrong)


def test_includes_are_covered_by_uses():
    wrong = []
    for path in files("src/*.cpp", "src/*.h"):
        module = path.relative_to(ROOT / "src").parts[0]
        allowed = {module, *modules()[module]}
        for other, file in INCLUDE.findall(path.read_text()):
            if other not in modules():
                continue
            if other not in allowed:
                wrong.append(f"{relative(path)} includes {other}/{file}: {module} does not use {other}")
            part = PARTS.get((module, other))
            if part and not file.startswith(part):
                wrong.append(f"{relative(path)} includes {other}/{file}: only {other}/{part}* is open")
    assert not wrong, "\n".join(wrong)


def test_server_worker_and_gateway_stand_apart():
    uses = modules()
    assert "worker" not in uses["server"] + uses["gateway"]
    assert not {"server", "gateway"} & set(uses["worker"])
    assert "gateway" not in uses["server"]


def test_each_module_has_a_readme():
    missing = [name for name in modules() if not (ROOT / "src" / name / "README.md").is_file()]
    assert not missing, f"no README.md in src/: {', '.join(missing)}"


# Linux alone has them; with <sched.h> only the sets of processors are meant.
LINUX_HEADER = re.compile(
    r"#\s*include\s+<((?:linux|asm)/[^>]+|sys/(?:epoll|eventfd|fanotify|inotify|mount|pidfd|prctl|"
    r"random|sendfile|signalfd|syscall|sysinfo|timerfd|vfs)\.h)>|\b(cpu_set_t)\b")

# Who may need Linux outside the platform folder, and for what.
LINUX_ELSEWHERE = {
    "apps/shim/engine.cpp": "prctl: the engine dies with its shim; the shim exists on Linux only",
    "apps/shim/supervisor.cpp": "prctl, signalfd: a subreaper's loop; the shim exists on Linux only",
    "src/worker/system_facts.cpp": "sched_getaffinity: the processors that this process may use",
    "src/sources/download/resume_test.cpp": "mount: a test makes a file system that is full",
}


def linux_files() -> dict[str, list[str]]:
    found = {}
    for path in files("src/*.cpp", "src/*.h", "apps/*.cpp", "apps/*.h"):
        names = [header or word for header, word in LINUX_HEADER.findall(path.read_text())]
        if names and not relative(path).startswith("src/process/platform/"):
            found[relative(path)] = names
    return found


def test_linux_headers_stay_in_the_platform_folder():
    # Everything else is POSIX or ours, so that workers on other systems can follow.
    wrong = [f"{path}: {', '.join(names)}" for path, names in linux_files().items()
             if path not in LINUX_ELSEWHERE]
    assert not wrong, "\n".join(wrong)


def test_what_may_need_linux_elsewhere_does():
    assert set(LINUX_ELSEWHERE) <= set(linux_files()), "take it off the list"
