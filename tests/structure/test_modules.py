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


def test_linux_headers_stay_in_the_platform_folder():
    # Everything else is POSIX or ours, so that workers on other systems can follow.
    linux = re.compile(r"#\s*include\s+<(linux/[^>]+|sys/(?:epoll|inotify|prctl|syscall|sysinfo|"
                       r"signalfd|timerfd|eventfd|pidfd)\.h)>")
    homes = ("src/process/", "apps/shim/")
    wrong = [f"{relative(path)}: <{header}>"
             for path in files("src/*.cpp", "src/*.h", "apps/*.cpp", "apps/*.h")
             if not relative(path).startswith(homes)
             for header in linux.findall(path.read_text())]
    assert not wrong, "\n".join(wrong)
