"""What the tests of interrupted downloads ask of a server and of the cache that it downloads into."""

import contextlib
import hashlib
import os
import signal
import threading
from pathlib import Path

from fake_hub import Hub
from harness import Berth, eventually

MIB = 1 << 20
CHUNK = 8 * MIB
CONNECTIONS = 4
LOST = CONNECTIONS * CHUNK  # what an interruption may cost at most
HEADERS = 16 * MIB  # what reading a model's header may take


def repository_in(cache: Path, name: str) -> Path:
    return cache / "hub" / f"models--org--{name}"


def cache_of(server: Berth) -> Path:
    return Path(server.env["HF_HOME"])


def wait_worker(server: Berth) -> None:
    eventually("the worker is ready", lambda: [
        one for one in server.api("GET", "/api/v1/workers")["items"] if one["state"] == "ready"])


def status_of(server: Berth, source: str) -> dict | None:
    items = server.api("GET", "/api/v1/files")["items"]
    return next((one for one in items if one["source"] == source), None)


def wait_files(server: Berth, source: str, *states: str, words: str = "", seconds: float = 90
               ) -> dict:
    """Until the files of `source` are in one of the states, with `words` in the reason."""
    def there() -> dict | None:
        one = status_of(server, source)
        assert not one or one["state"] != "failed" or "failed" in states, one["reason"]
        return one if one and one["state"] in states and words in one.get("reason", "") else None
    return eventually(f"{source} is {' or '.join(states)} {words}", there, seconds)


def get(server: Berth, source: str) -> None:
    """Wishes for the files, and waits for nothing."""
    answer = server.http("POST", "/api/v1/files", json={"source": source})
    assert answer.status_code < 300, answer.text


def wait_sent(hub: Hub, sent: float, seconds: float = 60) -> None:
    eventually(f"{sent / MIB:.0f} MiB were sent", lambda: hub.cdn.sent >= sent, seconds)


def worker_of(server: Berth) -> int | None:
    return next((pid for pid, argv in server.left_over().items() if " worker " in argv), None)


def kill_worker(server: Berth) -> None:
    if pid := worker_of(server):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


def kill_server(server: Berth) -> None:
    server.process.kill()
    server.process.wait(10)
    server.start()


def kill_both(server: Berth) -> None:
    server.process.kill()
    kill_worker(server)
    server.process.wait(10)
    server.start()


def pause(seconds: float) -> None:
    threading.Event().wait(seconds)


def sha256(file: Path) -> str:
    with file.open("rb") as opened:
        return hashlib.file_digest(opened, "sha256").hexdigest()


def check_whole(cache: Path, name: str, wanted: dict[str, Path]) -> None:
    """The repository's folder holds these files, whole, and nothing that a download leaves."""
    repository = repository_in(cache, name)
    [snapshot] = (repository / "snapshots").iterdir()
    assert {one.relative_to(snapshot).as_posix() for one in snapshot.rglob("*")
            if one.is_symlink() or not one.is_dir()} == set(wanted)
    for path, content in wanted.items():
        entry = snapshot / path
        assert entry.is_symlink() and sha256(entry) == sha256(content), entry
    blobs = {one.name for one in (repository / "blobs").iterdir()}
    assert blobs == {sha256(content) for content in wanted.values()}, "parts or journals are left"
    assert (repository / "refs/main").read_text() == snapshot.name
