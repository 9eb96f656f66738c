"""Runs the real program for the tests: a server in a data folder of its own, the command line
against it, its API, and the engines that it starts.

Every wait has a deadline; every process that a test started is ended, and none may be left over.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Callable, Iterator

import httpx
import openai

ROOT = Path(__file__).resolve().parents[2]
BERTH = Path(os.environ.get("BERTH_PROGRAM", ROOT / "build/release/berth"))
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "berth"

ENGINE_DEADLINE = 120.0  # for an engine to be ready, its pack being there
PACK_DEADLINE = 600.0  # for a first installation of a pack
COMPILED_PACKS = "compiled-packs"  # under CACHE: packs that are compiled; see compile_packs.py


def eventually(what: str, check: Callable[[], Any], seconds: float = 30.0) -> Any:
    """The first true result of `check`, asked again and again; fails with `what` at the deadline."""
    end = time.monotonic() + seconds
    pause = 0.02
    while True:
        result = check()
        if result:
            return result
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:g} s: {what}; last seen: {result!r}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.5)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def processes_with(text: str) -> dict[int, str]:
    """Living processes whose command line or environment mentions `text`, less this one."""
    found = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdigit() or int(folder.name) == os.getpid():
            continue
        try:
            argv = (folder / "cmdline").read_bytes()
            if not argv:  # a zombie, or a thread of the kernel
                continue
            if text.encode() in argv + b"\0" + (folder / "environ").read_bytes():
                found[int(folder.name)] = argv.replace(b"\0", b" ").decode(errors="replace").strip()
        except OSError:
            continue
    return found


def cpu_ticks(pid: int) -> int:
    """Processor time of a process, in the kernel's ticks (100 a second)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return int(fields[11]) + int(fields[12])


def load_of(pids: list[int], seconds: float = 3.0) -> float:
    """How much of one core the processes use, watched for a while: 1 is a whole core."""
    before = sum(map(cpu_ticks, pids))
    time.sleep(seconds)
    return (sum(map(cpu_ticks, pids)) - before) / os.sysconf("SC_CLK_TCK") / seconds


@dataclass
class Berth:
    """One installation: a data folder, and the server in it while it runs."""

    home: Path
    port: int = field(default_factory=free_port)
    process: subprocess.Popen | None = None
    output: list[str] = field(default_factory=list)
    settings: dict[str, str] = field(default_factory=dict)
    program: Path = BERTH
    packs: str = "test-packs"  # under CACHE: packs are installed once for all tests of this machine

    def __post_init__(self) -> None:
        self.data = self.home / "data"
        if not self.data.exists():
            self.data.mkdir(parents=True, mode=0o700)
            for shared in ("packs", "tools", "cache"):
                (CACHE / self.packs / shared).mkdir(parents=True, exist_ok=True)
                (self.data / shared).symlink_to(CACHE / self.packs / shared)

    # --- the server ---------------------------------------------------------------------------

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def env(self) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith("BERTH_")}
        return kept | {
            "BERTH_DATA": str(self.data),
            "XDG_CONFIG_HOME": str(self.home / "config"),
            "HF_HOME": str(self.home / "huggingface"),
            "MODELSCOPE_CACHE": str(self.home / "ms"),
            "OLLAMA_MODELS": str(self.home / "ollama"),
            "NO_COLOR": "1",
        } | self.settings

    def start(self, *arguments: str, wait: bool = True, listen: bool = True) -> "Berth":
        """Starts `berth serve` and waits until it answers. `listen` = False leaves out the flag."""
        assert self.process is None or self.process.poll() is not None, "it runs already"
        self.output.clear()
        self.process = subprocess.Popen(
            [self.program, "serve", *(["--listen", f"127.0.0.1:{self.port}"] if listen else []),
             *arguments],
            env=self.env, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL,
            text=True, start_new_session=True)
        threading.Thread(target=self._collect, args=(self.process,), daemon=True).start()
        if wait:
            eventually("the server answers /health", self._answers, 20)
        return self

    def _collect(self, process: subprocess.Popen) -> None:
        for line in process.stdout:
            self.output.append(line.rstrip("\n"))

    def _answers(self) -> bool:
        assert self.process and self.process.poll() is None, "it ended:\n" + "\n".join(self.output)
        with contextlib.suppress(httpx.HTTPError):
            return httpx.get(f"{self.url}/health", timeout=2).status_code == 200
        return False

    def stop(self, sign: signal.Signals = signal.SIGTERM, seconds: float = 30) -> int | None:
        """Ends the server by a signal; returns its exit status."""
        if self.process is None:
            return None
        if self.process.poll() is None:
            self.process.send_signal(sign)
        try:
            return self.process.wait(seconds)
        finally:
            if self.process.poll() is None:
                self.process.kill()
                self.process.wait(10)
            self.process = None

    def left_over(self) -> dict[int, str]:
        """Processes of this installation that still live."""
        return processes_with(str(self.data))

    def close(self) -> None:
        """Ends everything, and fails if the server did not end its own processes."""
        status = self.stop()
        left: dict[int, str] = {}
        with contextlib.suppress(AssertionError):
            eventually("no process is left", lambda: not self.left_over(), 15)
        left = self.left_over()
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        assert not left, f"left over after the server ended (status {status}): {left}"

    # --- the command line -----------------------------------------------------------------------

    def cli(self, *arguments: object, check: bool | int = True, timeout: float = 180,
            env: dict[str, str] | None = None, stdin: str | None = None
            ) -> subprocess.CompletedProcess:
        """Runs `berth ARGUMENTS`. `check`: the exit status that it must have (True = 0)."""
        run = subprocess.run(
            [self.program, *map(str, arguments)], env=self.env | (env or {}), capture_output=True,
            text=True, timeout=timeout, cwd=self.home,
            **({"input": stdin} if stdin is not None else {"stdin": subprocess.DEVNULL}))
        if check is not False:
            expected = 0 if check is True else check
            assert run.returncode == expected, (
                f"berth {' '.join(map(str, arguments))}: exit status {run.returncode}, not "
                f"{expected}\nstdout: {run.stdout}\nstderr: {run.stderr}")
        return run

    def json(self, *arguments: object) -> Any:
        """The output of a command with --json."""
        return json.loads(self.cli(*arguments, "--json").stdout)

    # --- the API -------------------------------------------------------------------------------

    @property
    def key(self) -> str:
        return (self.data / "admin.key").read_text().strip()

    def api(self, method: str, path: str, expect: int | None = 200, key: str | None = "",
            **options: Any) -> Any:
        """A request; the answer's JSON (or text). `key`: "" = the admin's, None = none."""
        answer = self.http(method, path, key=key, **options)
        if expect is not None:
            assert answer.status_code == expect, f"{method} {path}: {answer.status_code} {answer.text}"
        if answer.headers.get("content-type", "").startswith("application/json"):
            return answer.json()
        return answer.text

    def http(self, method: str, path: str, key: str | None = "", **options: Any) -> httpx.Response:
        headers = dict(options.pop("headers", {}))
        if key is not None:
            headers["Authorization"] = f"Bearer {key or self.key}"
        options.setdefault("timeout", 60)
        return httpx.request(method, self.url + path, headers=headers, **options)

    def openai(self, key: str | None = None) -> openai.OpenAI:
        return openai.OpenAI(base_url=f"{self.url}/v1", api_key=key or self.key, max_retries=0,
                             timeout=120)

    # --- models and instances --------------------------------------------------------------------

    def add_pack(self, name: str, program: list[str], backend: str = "llama-box",
                 runtimes: tuple[str, ...] = ("cpu",)) -> None:
        """An engine pack beside the shipped ones, which the worker knows at its next start."""
        folder = self.data / "engines.d"
        folder.mkdir(exist_ok=True)
        (folder / f"{name}.toml").write_text(
            f'name = "{name}"\nengine = "{name}"\nbackend = "{backend}"\nkind = "path"\n'
            f'summary = "for the tests"\nruntimes = {json.dumps(runtimes)}\n'
            f"program = {json.dumps(program)}\n")

    def deploy(self, name: str, model: Path, *arguments: object, **options: Any
               ) -> subprocess.CompletedProcess:
        options.setdefault("timeout", PACK_DEADLINE)
        return self.cli("deploy", name, "--model", model, *arguments, **options)

    def instances(self, model: str | None = None) -> list[dict[str, Any]]:
        path = "/api/v1/instances" + (f"?model={model}" if model else "")
        return self.api("GET", path)["items"]

    def wait_ready(self, model: str, count: int = 1, seconds: float = ENGINE_DEADLINE
                   ) -> list[dict[str, Any]]:
        """Waits until exactly `count` instances are there and all are ready."""
        def ready() -> list[dict[str, Any]] | None:
            found = self.instances(model)
            return found if len(found) == count and all(
                one["state"] == "ready" for one in found) else None
        return eventually(f"{count} instances of {model} are ready", ready, seconds)

    def wait_state(self, model: str, *states: str, seconds: float = 60) -> dict[str, Any]:
        """Waits until an instance of `model` is in one of the states, and returns it."""
        def there() -> dict[str, Any] | None:
            return next((one for one in self.instances(model) if one["state"] in states), None)
        return eventually(f"an instance of {model} is {' or '.join(states)}", there, seconds)

    def remove(self, model: str) -> None:
        self.cli("rm", model)
        self.wait_gone(model)

    def wait_gone(self, model: str) -> None:
        quoted = model.replace("/", "%2F")
        eventually(f"{model} is gone", lambda: self.http("GET", f"/api/v1/models/{quoted}")
                   .status_code == 404 and not self.instances(model), 60)

    def log(self, instance: str, *arguments: str) -> str:
        return self.cli("logs", instance, *arguments).stdout

    def work_of(self, model: str) -> dict[str, int]:
        """Ticks of processor time that each instance's engine has used so far."""
        return {one["name"]: cpu_ticks(one["pid"]) for one in self.instances(model)}


@contextlib.contextmanager
def running(home: Path, *arguments: str, packs: str = "test-packs", program: Path = BERTH,
            **settings: str) -> Iterator[Berth]:
    """A server of its own for a test; everything of it is gone afterwards."""
    berth = Berth(home, settings=settings, packs=packs, program=program)
    try:
        berth.start(*arguments)
        yield berth
    finally:
        berth.close()
        shutil.rmtree(berth.data / "worker", ignore_errors=True)
