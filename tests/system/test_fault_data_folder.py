"""Data folders that can not be used: damaged, read-only, somebody else's. Each is refused with one
message that says what is wrong and the way back, and stays as it is."""

import contextlib
import hashlib
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
from pathlib import Path
from typing import Callable, Iterator

import pytest

from harness import BERTH, Berth, eventually, free_port

WAYS_BACK = ("put back a copy", ".recover", "begin anew")


def add(berth: Berth, name: str, file: Path, size: int = 0) -> None:
    berth.api("POST", "/api/v1/models", expect=None, json={
        "name": name, "source": str(file), "replicas": 0,
        "env": {"FILLER": random.randbytes(size // 2).hex()}})


def hashes(folder: Path) -> dict[str, str]:
    """The content of every file of the database; its index in shared memory is made anew anyway."""
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(folder.glob("berth.db*"))
            if not path.name.endswith(("-shm", ".lock")) and path.stat().st_size}


def expect_refused(berth: Berth, *words: str) -> str:
    """`berth serve` ends with 1 and one message with these words; no byte has changed."""
    before = hashes(berth.data)
    run = berth.cli("serve", "--no-worker", "--listen", f"127.0.0.1:{berth.port}", check=1,
                    timeout=30)
    assert hashes(berth.data) == before
    told = [line for line in run.stderr.splitlines() if line.strip()]
    assert len(told) == 1, run.stderr
    for word in (str(berth.data / "berth.db"), *words):
        assert word in told[0], run.stderr
    assert not (berth.data / "server.json").exists()
    return told[0]


@pytest.fixture
def filled(stopped_berth: Berth, tiny_file: Path) -> Berth:
    """A stopped server whose database holds some models."""
    stopped_berth.start("--no-worker")
    for i in range(8):
        add(stopped_berth, f"m{i}", tiny_file, 100_000)
    assert stopped_berth.stop() == 0
    return stopped_berth


# --- a database damaged on purpose ----------------------------------------------------------------

def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size * 2 // 3)


def scribble(path: Path) -> None:
    """Random bytes over half the pages, from the second on."""
    with path.open("r+b") as file:
        for page in range(1, path.stat().st_size // 4096, 2):
            file.seek(page * 4096)
            file.write(random.randbytes(4096))


def empty(path: Path) -> None:
    os.truncate(path, 0)


def something_else(path: Path) -> None:
    path.write_bytes(b"listen: 127.0.0.1:8080\n" * 1000)


def break_head(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(random.randbytes(100))


@pytest.mark.parametrize("damage", [truncate, scribble, empty, something_else, break_head])
def test_a_damaged_database_is_refused_with_the_way_back(filled: Berth, damage: Callable):
    damage(filled.data / "berth.db")
    expect_refused(filled, "damaged", *WAYS_BACK)


def test_a_database_of_another_program_is_refused(filled: Berth):
    (filled.data / "berth.db").unlink()
    with contextlib.closing(sqlite3.connect(filled.data / "berth.db")) as other:
        other.execute("CREATE TABLE theirs(x)")
        other.commit()
    expect_refused(filled, "none of Berth")


def test_a_newer_schema_is_refused_with_the_way_back(filled: Berth):
    with contextlib.closing(sqlite3.connect(filled.data / "berth.db")) as database:
        database.execute("UPDATE schema_version SET version = 1000")
        database.commit()
    expect_refused(filled, "schema 1000", "newer Berth", ".schema-")


def test_a_log_of_another_database_is_refused(stopped_berth: Berth, tmp_path: Path,
                                              tiny_file: Path):
    other = Berth(tmp_path / "other")
    for berth, count in ((stopped_berth, 2), (other, 9)):
        berth.start("--no-worker")
        for i in range(count):
            add(berth, f"m{i}", tiny_file, 1000)
        berth.stop(signal.SIGKILL)
        (berth.data / "server.json").unlink()
    log = stopped_berth.data / "berth.db-wal"
    own = log.read_bytes()
    assert own, "the killed server left no log"
    shutil.copy(other.data / "berth.db-wal", log)
    expect_refused(stopped_berth, "damaged", "berth.db-wal", *WAYS_BACK)
    log.write_bytes(own)
    stopped_berth.start("--no-worker")
    assert len(stopped_berth.api("GET", "/api/v1/models")["items"]) == 2
    other.close()


def test_a_log_that_is_none_is_refused_and_kept(filled: Berth):
    (filled.data / "berth.db-wal").write_bytes(random.randbytes(100_000))
    expect_refused(filled, "damaged", "berth.db-wal", *WAYS_BACK)
    (filled.data / "berth.db-wal").unlink()
    filled.start("--no-worker")
    assert len(filled.api("GET", "/api/v1/models")["items"]) == 8


def test_the_ways_back_that_the_message_tells_work(filled: Berth, tmp_path: Path):
    database, copy = filled.data / "berth.db", tmp_path / "copy.db"
    shutil.copy(database, copy)
    key = filled.key
    scribble(database)
    expect_refused(filled, *WAYS_BACK)

    shutil.copy(copy, database)
    filled.start("--no-worker")
    assert len(filled.api("GET", "/api/v1/models")["items"]) == 8
    filled.stop()

    scribble(database)
    expect_refused(filled, *WAYS_BACK)
    database.rename(tmp_path / "moved.db")
    filled.start("--no-worker")
    assert filled.key == key, "another key was made"
    assert filled.api("GET", "/api/v1/models")["items"] == []


def test_damage_found_while_running_is_told_and_requests_go_on(stopped_berth: Berth,
                                                               tiny_file: Path):
    berth = stopped_berth.start()
    berth.deploy("serving", tiny_file)
    for i in range(8):
        add(berth, f"m{i}", tiny_file, 900_000)
    berth.stop()
    berth.start()
    berth.wait_ready("serving")
    engine = berth.instances("serving")[0]["pid"]
    scribble(berth.data / "berth.db")
    answer = eventually("the damage is met", lambda: next(
        (one for one in [berth.http("GET", "/api/v1/models")] if one.status_code != 200), None), 30)
    assert answer.status_code == 500
    told = answer.json()["error"]["message"]
    for word in (str(berth.data / "berth.db"), "damaged", *WAYS_BACK):
        assert word in told
    for _ in range(20):
        assert berth.http("GET", "/api/v1/models").status_code == 500
        assert berth.openai().completions.create(model="serving", prompt="x", max_tokens=1).choices
    damaged = [line for line in berth.output if "is damaged" in line]
    assert 1 <= len(damaged) <= 8, damaged
    assert Path(f"/proc/{engine}").exists()


# --- folders that can not be written --------------------------------------------------------------

@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """`folder`, mounted over itself for reading only."""
    assert os.geteuid() == 0, "this test mounts: run it as root"
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,ro,bind", folder], check=True)
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


def test_a_read_only_folder_is_refused_with_the_remedy(filled: Berth):
    before = hashes(filled.data)
    with read_only(filled.data):
        run = filled.cli("serve", "--listen", f"127.0.0.1:{filled.port}", check=1, timeout=30)
    assert hashes(filled.data) == before
    for word in (str(filled.data), "can not be written", "mount it for writing", "--data"):
        assert word in run.stderr, run.stderr
    assert "another server" not in run.stderr
    filled.start("--no-worker")
    assert len(filled.api("GET", "/api/v1/models")["items"]) == 8


def test_a_folder_below_a_read_only_one_is_named(filled: Berth):
    with read_only(filled.data):
        run = filled.cli("serve", "--data", filled.data / "new", check=1, timeout=30)
    assert str(filled.data / "new") in run.stderr
    assert "--data" in run.stderr


# --- two servers, and one that is gone ------------------------------------------------------------

def test_a_second_server_is_told_who_the_first_one_is(own_berth: Berth, tiny_file: Path):
    add(own_berth, "first", tiny_file)
    before = own_berth.api("GET", "/api/v1/models")["items"]
    second = Berth(own_berth.home, port=free_port())
    run = second.cli("serve", "--listen", f"127.0.0.1:{second.port}", check=1, timeout=30)
    for word in (str(own_berth.data), str(own_berth.process.pid), own_berth.url, "--data"):
        assert word in run.stderr, run.stderr
    assert own_berth.api("GET", "/api/v1/models")["items"] == before
    own_berth.cli("ps")


def test_two_servers_that_start_at_once_leave_one(stopped_berth: Berth):
    both = [stopped_berth.start("--no-worker", wait=False),
            Berth(stopped_berth.home).start("--no-worker", wait=False)]
    loser = eventually("one of them ends", lambda: next(
        (one for one in both if one.process.poll() is not None), None), 20)
    winner = next(one for one in both if one is not loser)
    assert loser.process.returncode == 1
    eventually("the loser says why", lambda: any("another server" in line for line in loser.output))
    eventually("the other one answers", winner._answers, 20)
    winner.stop()


@pytest.mark.parametrize("pid", ["its own", "somebody else's"])
def test_a_file_of_a_dead_server_names_none(stopped_berth: Berth, pid: str):
    stopped_berth.start("--no-worker")
    stopped_berth.stop(signal.SIGKILL)
    left = stopped_berth.data / "server.json"
    if pid == "somebody else's":
        left.write_text(json.dumps(json.loads(left.read_text()) | {"pid": os.getpid()}))
    run = stopped_berth.cli("ps", check=1)
    assert re.search(rf"no server runs on {re.escape(str(stopped_berth.data))}", run.stderr)
    assert "berth serve" in run.stderr
    stopped_berth.start("--no-worker")
    stopped_berth.cli("ps")


def test_a_worker_that_ends_before_it_has_joined_ends_what_was_left_to_it(stopped_berth: Berth,
                                                                          tiny_file: Path):
    berth = stopped_berth.start()
    berth.deploy("left", tiny_file)
    engine = berth.wait_ready("left")[0]["pid"]
    worker = next(pid for pid, argv in berth.left_over().items() if " worker " in argv)
    berth.process.kill()  # first, so that it starts no other worker
    os.kill(worker, signal.SIGKILL)
    berth.stop(signal.SIGKILL)
    assert Path(f"/proc/{engine}").exists()

    told = berth.home / "worker.log"
    with told.open("w") as log, subprocess.Popen(
            [BERTH, "worker", "--local"], env=berth.env, stdout=log, stderr=log) as alone:
        eventually("it looks for its server", lambda: "the server is away" in told.read_text())
        alone.send_signal(signal.SIGTERM)
        assert alone.wait(30) == 0
    eventually("the engine has ended", lambda: not Path(f"/proc/{engine}").exists())


def test_a_start_that_is_killed_anywhere_is_repeated(tmp_path: Path, tiny_file: Path, rounds: int):
    """Many of them on one folder: the first ones make it, the others find what was made so far."""
    chance = random.Random()
    berth = Berth(tmp_path)
    for _ in range(rounds * 10):
        berth.start("--no-worker", wait=False)
        with contextlib.suppress(subprocess.TimeoutExpired):
            berth.process.wait(chance.uniform(0, 0.25))
        assert berth.process.poll() is None, berth.output
        berth.stop(signal.SIGKILL)
    berth.start("--no-worker")
    add(berth, "works", tiny_file)
    assert [one["name"] for one in berth.api("GET", "/api/v1/models")["items"]] == ["works"]
    berth.stop()
    (berth.data / "admin.key.abc123.tmp").write_text("cut off")
    for path in berth.data.glob("*.tmp"):
        os.utime(path, (0, 0))
    berth.start("--no-worker")
    assert not [path.name for path in berth.data.iterdir() if path.name.endswith((".new", ".tmp"))]
    berth.close()
