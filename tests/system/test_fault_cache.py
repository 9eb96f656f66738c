"""Caches in trouble: full disks, read-only file systems, several who download into one at once, and
links that somebody planted to lead what is written elsewhere."""

import random
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Iterator

import huggingface_hub
import pytest

from downloads import (HEADERS, LOST, MIB, cache_of, check_whole, get, kill_worker, pause,
                       repository_in, sha256, status_of, wait_files, wait_sent, wait_worker)
from fake_hub import Hub, hub, settings_of  # noqa: F401 (hub is a fixture)
from harness import Berth, eventually, running
from test_fault_disk import Ballast, answers, mounted

FILE = "big-Q4_K_M.gguf"
SOURCE = "hf:org/big-GGUF"
WAITS_FOR_SPACE = 60.0  # the pause before another attempt doubles from 2 s


@pytest.fixture(scope="session")
def big_file(tmp_path_factory: pytest.TempPathFactory, tiny_file: Path) -> Path:
    """A small model with 64 MiB behind it."""
    path = tmp_path_factory.mktemp("big") / "big.gguf"
    path.write_bytes(tiny_file.read_bytes() + random.Random(2).randbytes(64 * MIB))
    return path


@pytest.fixture
def big(hub: Hub, big_file: Path) -> Path:
    hub.repository("org/big-GGUF").commit({FILE: big_file})
    return big_file


@pytest.fixture
def tiny(hub: Hub, tiny_file: Path) -> Path:
    hub.repository("org/tiny-GGUF").commit({"tiny-Q4_K_M.gguf": tiny_file})
    return tiny_file


@pytest.fixture
def server(tmp_path: Path, hub: Hub) -> Iterator[Berth]:
    with running(tmp_path, **settings_of(hub)) as one:
        wait_worker(one)
        yield one


# --- full disks -----------------------------------------------------------------------------------

@pytest.fixture
def small_cache(tmp_path: Path) -> Iterator[Path]:
    """A folder on a disk of 100 MiB of its own."""
    folder = tmp_path / "small"
    with mounted(folder, "-t", "tmpfs", "-o", "size=100m", "tmpfs"):
        yield folder


@pytest.fixture
def cramped(tmp_path: Path, hub: Hub, small_cache: Path, tiny: Path) -> Iterator[Berth]:
    """A server whose cache lies there, and which serves a model from it."""
    with running(tmp_path, HF_HOME=str(small_cache), **settings_of(hub)) as one:
        wait_worker(one)
        one.cli("deploy", "tiny", "--model", "hf:org/tiny-GGUF")
        yield one


def take_all_but(folder: Path, left: int) -> Path:
    """A file that leaves so much of its disk."""
    status = subprocess.run(["df", "-B1", "--output=avail", folder], check=True,
                            capture_output=True, text=True)
    free = int(status.stdout.split()[-1])
    file = folder / "taken"
    subprocess.run(["fallocate", "-l", str(free - left), file], check=True)
    return file


def test_a_download_that_has_no_room_waits_with_the_reason_and_goes_on_when_there_is(
        cramped: Berth, hub: Hub, small_cache: Path, big: Path):
    engine = cramped.instances("tiny")[0]["pid"]
    # The file would fit, but less than 5 % would stay free.
    taken = take_all_but(small_cache, big.stat().st_size + MIB)
    sent = hub.cdn.sent
    cramped.cli("deploy", "big", "--model", SOURCE, "--no-wait")
    waiting = wait_files(cramped, SOURCE, "queued", words="missing")
    assert str(small_cache / "hub") in waiting["reason"] and "5 %" in waiting["reason"]
    assert "MiB are missing" in waiting["reason"] and "make room" in waiting["reason"]
    [instance] = cramped.instances("big")
    assert instance["state"] == "downloading" and "missing" in instance["reason"], instance
    assert hub.cdn.sent - sent <= HEADERS, "nothing of it is fetched"
    assert answers(cramped, "tiny") and cramped.instances("tiny")[0]["pid"] == engine
    taken.unlink()
    wait_files(cramped, SOURCE, "ready", seconds=WAITS_FOR_SPACE)
    check_whole(small_cache, "big-GGUF", {FILE: big})
    assert answers(cramped, "tiny") and cramped.instances("tiny")[0]["pid"] == engine


def test_a_disk_that_fills_up_meanwhile_stops_a_download_until_there_is_space(
        cramped: Berth, hub: Hub, small_cache: Path, big: Path, rounds: int):
    ballast = Ballast(small_cache)
    for _ in range(max(1, rounds // 4)):
        hub.faults.add("*", at="cdn", pace=4 * MIB, times=None)
        before = hub.cdn.sent
        get(cramped, SOURCE)
        wait_sent(hub, before + 12 * MIB)
        ballast.fill()
        # In the words of the write that failed, or of the attempt after it.
        waiting = wait_files(cramped, SOURCE, "queued", words="make room")
        assert str(small_cache / "hub") in waiting["reason"] and "MiB" in waiting["reason"], waiting
        assert answers(cramped, "tiny")
        hub.faults.clear()
        ballast.drop()
        wait_files(cramped, SOURCE, "ready", seconds=WAITS_FOR_SPACE)
        check_whole(small_cache, "big-GGUF", {FILE: big})
        attempts = 8  # that began a chunk and had no room for it
        assert hub.cdn.sent - before <= big.stat().st_size + HEADERS + LOST + attempts * MIB
        cramped.cli("files", "rm", SOURCE)


# --- caches that are only read --------------------------------------------------------------------

def test_a_cache_that_is_read_only_is_used_and_not_written(tmp_path: Path, hub: Hub, tiny: Path,
                                                           big: Path):
    cache = tmp_path / "theirs"
    with mounted(cache, "-t", "tmpfs", "-o", "size=100m", "tmpfs"):
        huggingface_hub.hf_hub_download("org/tiny-GGUF", "tiny-Q4_K_M.gguf", endpoint=hub.url,
                                        cache_dir=cache / "hub")
        before = {path: path.lstat().st_mtime_ns for path in cache.rglob("*")}
        subprocess.run(["mount", "-o", "remount,ro", cache], check=True)
        with running(tmp_path, HF_HOME=str(cache), **settings_of(hub)) as server:
            wait_worker(server)
            sent = hub.cdn.sent
            server.cli("deploy", "tiny", "--model", "hf:org/tiny-GGUF")
            assert answers(server, "tiny")
            assert hub.cdn.sent - sent <= tiny.stat().st_size, "its header alone"
            sent = hub.cdn.sent
            get(server, SOURCE)
            failed = wait_files(server, SOURCE, "failed")
            assert str(cache / "hub") in failed["reason"] and "HF_HUB_CACHE" in failed["reason"]
            assert "Read-only file system" in failed["reason"], failed
            assert hub.cdn.sent - sent <= HEADERS, "nothing of it is fetched"
            assert {path: path.lstat().st_mtime_ns for path in cache.rglob("*")} == before
            refused = server.cli("deploy", "big", "--model", SOURCE, check=False)
            assert refused.returncode != 0 and "HF_HUB_CACHE" in refused.stderr + refused.stdout
            server.remove("big")
            subprocess.run(["mount", "-o", "remount,rw", cache], check=True)
            server.cli("files", "get", SOURCE)
            check_whole(cache, "big-GGUF", {FILE: big})


# --- several at once ------------------------------------------------------------------------------

@pytest.fixture
def two(tmp_path: Path, hub: Hub) -> Iterator[list[Berth]]:
    """Two servers with one cache."""
    shared = {"HF_HOME": str(tmp_path / "shared"), **settings_of(hub)}
    (tmp_path / "one").mkdir()
    (tmp_path / "other").mkdir()
    with running(tmp_path / "one", **shared) as one, running(tmp_path / "other", **shared) as other:
        for server in (one, other):
            wait_worker(server)
        yield [one, other]


def the_waiting(servers: list[Berth]) -> Berth:
    """The one that waits for the other's download."""
    return eventually("one waits for the other", lambda: next(
        (server for server in servers
         if "somebody else" in (status_of(server, SOURCE) or {}).get("reason", "")), None))


def test_two_servers_with_one_cache_fetch_each_file_once(two: list[Berth], hub: Hub, big: Path,
                                                         rounds: int):
    cache = cache_of(two[0])
    hub.faults.add("*", at="cdn", pace=4 * MIB, times=None)
    for number in range(max(2, rounds // 2)):
        before = hub.cdn.sent
        for server in two:
            get(server, SOURCE)
        waiting = the_waiting(two)
        dies = number % 2 == 1
        if dies:  # then the other takes over, and goes on from what is there
            wait_sent(hub, before + 16 * MIB)
            [owner] = [server for server in two if server is not waiting]
            kill_worker(owner)
        for server in two:
            wait_files(server, SOURCE, "ready")
        check_whole(cache, "big-GGUF", {FILE: big})
        more = LOST if dies else 0
        assert hub.cdn.sent - before <= big.stat().st_size + HEADERS + more
        for server in two:
            wait_worker(server)
        two[0].cli("files", "rm", SOURCE)
        two[1].cli("files", "rm", SOURCE, check=False)  # they are gone already


FETCH = """
import sys, huggingface_hub
print(huggingface_hub.hf_hub_download(sys.argv[1], sys.argv[2], endpoint=sys.argv[3],
                                      cache_dir=sys.argv[4]))
"""


def fetch_with_hugging_face(server: Berth, hub: Hub) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, "-c", FETCH, "org/big-GGUF", FILE, hub.url, cache_of(server) / "hub"],
        env=server.env | {"HF_HUB_DISABLE_PROGRESS_BARS": "1"}, stdout=subprocess.PIPE,
        stderr=subprocess.PIPE, text=True)


def test_the_hubs_own_client_waits_for_a_download_and_uses_it(server: Berth, hub: Hub, big: Path):
    hub.faults.add("*", at="cdn", pace=MIB, times=None)
    before = hub.cdn.sent
    get(server, SOURCE)
    wait_sent(hub, before + 4 * MIB)
    client = fetch_with_hugging_face(server, hub)
    eventually("it has asked for the file", lambda: any(
        one.method == "HEAD" and one.path.endswith(FILE) for one in hub.web.asked))
    pause(0.5)
    assert client.poll() is None and status_of(server, SOURCE)["state"] == "downloading"
    hub.faults.clear()
    out, error = client.communicate(timeout=60)
    assert client.returncode == 0, error
    wait_files(server, SOURCE, "ready")
    assert sha256(Path(out.strip())) == sha256(big)
    check_whole(cache_of(server), "big-GGUF", {FILE: big})
    assert hub.cdn.sent - before <= big.stat().st_size + HEADERS


@pytest.mark.parametrize("dies", [False, True])
def test_a_download_of_the_hubs_own_client_is_waited_for(server: Berth, hub: Hub, big: Path, dies):
    hub.faults.add("*", at="cdn", pace=8 * MIB, times=None)
    before = hub.cdn.sent
    client = fetch_with_hugging_face(server, hub)
    wait_sent(hub, before + 4 * MIB)
    get(server, SOURCE)
    the_waiting([server])
    if dies:
        client.kill()
        client.communicate(timeout=10)
        hub.faults.clear()
    else:
        hub.faults.clear()
        out, error = client.communicate(timeout=120)
        assert client.returncode == 0, error
        assert sha256(Path(out.strip())) == sha256(big)
        assert hub.cdn.sent - before <= big.stat().st_size + HEADERS
    wait_files(server, SOURCE, "ready")
    repository = repository_in(cache_of(server), "big-GGUF")
    [entry] = (repository / "snapshots").glob("*/*")
    assert sha256(entry) == sha256(big)
    assert not list((repository / "blobs").glob("*.part*"))


# --- hostile hubs and planted links ---------------------------------------------------------------

NAME = "tiny-Q4_K_M.gguf"
EVIL_NAMES = ["../../canary/x-Q4_K_M.gguf", "/canary/x-Q4_K_M.gguf", "a/../../x-Q4_K_M.gguf",
              "..", "a/./x-Q4_K_M.gguf", "a//x-Q4_K_M.gguf", "a\\..\\x-Q4_K_M.gguf",
              "x\n-Q4_K_M.gguf", "y" * 300 + "-Q4_K_M.gguf"]


@pytest.fixture
def canary(tmp_path: Path, tiny_file: Path) -> Iterator[Path]:
    """A folder that nobody but the test may change."""
    folder = tmp_path / "canary"
    (folder / "folder").mkdir(parents=True)
    (folder / "file").write_bytes(b"mine")
    (folder / "same").write_bytes(tiny_file.read_bytes())  # that a thief would want to be used
    (folder / "folder" / "deep").write_bytes(b"mine too")
    before = look(folder)
    yield folder
    assert look(folder) == before


def look(folder: Path) -> dict[str, tuple]:
    return {str(path): (path.lstat().st_mtime_ns, path.lstat().st_mode, path.lstat().st_size,
                        path.read_bytes() if path.is_file() else b"")
            for path in (folder, *folder.rglob("*"))}


def names_below(folder: Path) -> list[str]:
    return [path.name for path in folder.rglob("*")]


def test_names_that_lead_out_of_the_cache_are_refused(server: Berth, hub: Hub, canary: Path,
                                                      tiny_file: Path):
    for number, path in enumerate(EVIL_NAMES):
        hub.repository(f"org/evil{number}-GGUF").commit({NAME: tiny_file, path: tiny_file})
        for source in (f"hf:org/evil{number}-GGUF", f"ms:org/evil{number}-GGUF"):
            answer = server.http("POST", "/api/v1/files", json={"source": source})
            assert answer.status_code >= 400, (path, answer.text)
            assert "nothing of it is read" in answer.json()["error"]["message"], answer.text
            run = server.cli("deploy", "evil", "--model", source, check=False)
            assert run.returncode != 0 and "nothing of it is read" in run.stderr, run.stderr
    assert not [name for name in names_below(server.home) if "x-Q4_K_M" in name]
    assert not server.api("GET", "/api/v1/files")["items"]


def test_names_that_are_alike_are_different_files(server: Berth, hub: Hub, canary: Path,
                                                  tiny_file: Path):
    """By case, by dots and spaces at their ends: file systems of other systems take them for one."""
    big = tiny_file.read_bytes()
    parts = {"Tiny-Q4_K_M.gguf": big, "tiny-q8_0.gguf": big[:-1] + b"1",
             "tiny-Q8_0.gguf.": b"one", "tiny-Q8_0.gguf ": b"other", "a./tiny-Q6_K.gguf": big,
             "A./tiny-Q6_K.gguf": big[:-1] + b"2", " ": b"blank", "CON": b"device"}
    hub.repository("org/alike-GGUF").commit(parts)
    for source, path in (("hf:org/alike-GGUF:Q4_K_M", "Tiny-Q4_K_M.gguf"),
                         ("hf:org/alike-GGUF:Q8_0", "tiny-q8_0.gguf")):
        server.cli("files", "get", source)
        entry = next(repository_in(cache_of(server), "alike-GGUF").glob(f"snapshots/*/{path}"))
        assert entry.read_bytes() == parts[path], path
    run = server.cli("files", "get", "hf:org/alike-GGUF:Q6_K", check=False)
    there = repository_in(cache_of(server), "alike-GGUF").glob("snapshots/*/?./tiny-Q6_K.gguf")
    for entry in there:
        assert entry.read_bytes() == parts[f"{entry.parent.name}/tiny-Q6_K.gguf"], run.stderr


@dataclass
class Planted:
    """A link where Berth would write. COMMIT and SHA stand for what their names say."""

    path: str        # in the cache of Hugging Face
    target: str      # in the canary folder; may not be there
    ready: bool      # the link is replaced by what belongs there, or not looked at; else: refused
    words: str = ""  # of the refusal


PLANTED = [
    Planted("REPOSITORY", "folder", False, "leads out"),
    Planted("REPOSITORY", "absent", False),
    Planted("REPOSITORY/blobs", "folder", False, "leads out"),
    Planted("REPOSITORY/snapshots", "folder", False, "leads out"),
    Planted("REPOSITORY/snapshots/COMMIT", "folder", False, "leads out"),
    Planted("REPOSITORY/refs", "folder", False, "leads out"),
    Planted(".locks/REPOSITORY", "folder", False, "leads out"),
    Planted("REPOSITORY/blobs/SHA", "file", False, "move it away"),
    Planted("REPOSITORY/blobs/SHA", "absent", False, "move it away"),
    Planted("REPOSITORY/blobs/SHA", "same", False, "move it away"),
    Planted("REPOSITORY/blobs/SHA.part", "file", False),
    Planted("REPOSITORY/blobs/SHA.part.journal", "file", False),
    Planted(".locks/REPOSITORY/SHA.lock", "file", False, "move it away"),
    Planted(".locks/REPOSITORY/SHA.lock", "absent", False, "move it away"),
    Planted(f"REPOSITORY/snapshots/COMMIT/{NAME}", "file", True),
    Planted(f"REPOSITORY/snapshots/COMMIT/{NAME}", "same", True),
    Planted(f"REPOSITORY/snapshots/COMMIT/{NAME}", "absent", True),
    Planted("REPOSITORY/refs/main", "file", True),
]


def plant(cache: Path, one: Planted, name: str, commit: str, sha: str, canary: Path) -> Path:
    path = one.path.replace("REPOSITORY", f"models--org--{name}")
    link = cache / "hub" / path.replace("COMMIT", commit).replace("SHA", sha)
    link.parent.mkdir(parents=True, exist_ok=True)
    link.symlink_to(canary / one.target)
    return link


def test_planted_links_lead_nobody_out_of_the_cache(server: Berth, hub: Hub, canary: Path,
                                                    tiny_file: Path):
    before = look(canary)
    cache = cache_of(server)
    for number, one in enumerate(PLANTED):
        name = f"p{number}-GGUF"
        source = f"hf:org/{name}"
        commit = hub.repository(f"org/{name}").commit({NAME: tiny_file})
        link = plant(cache, one, name, commit, sha256(tiny_file), canary)
        get(server, source)
        ended = wait_files(server, source, "ready", "failed")
        assert ended["state"] == ("ready" if one.ready else "failed"), (one, ended)
        if one.ready:
            check_whole(cache, name, {NAME: tiny_file})
        else:
            assert one.words in ended["reason"] and link.is_symlink(), (one, ended)
            assert str(link) in ended["reason"], (one, ended)
        assert look(canary) == before, one
        server.cli("files", "rm", source, check=False)
        assert look(canary) == before, f"files rm: {one}"
        if one.ready:
            continue
        link.unlink(missing_ok=True)
        server.cli("files", "get", source)
        check_whole(cache, name, {NAME: tiny_file})


def test_planted_links_in_the_other_caches_lead_nobody_out(server: Berth, hub: Hub, canary: Path,
                                                           tiny_file: Path):
    before = look(canary)
    manifest = "ollama/manifests/" + hub.url.removeprefix("http://") + "/library/m3"
    planted = (("ms/models", "ms:org/m0-GGUF"), ("ms/models/org--m1-GGUF", "ms:org/m1-GGUF"),
               ("ollama/blobs", "ollama:m2"), (manifest, "ollama:m3"))
    for number, (link, source) in enumerate(planted):
        hub.repository(f"org/m{number}-GGUF").commit({NAME: tiny_file})
        hub.tag(f"library/m{number}:latest", [("model", tiny_file.read_bytes())])
        path = server.home / link
        path.parent.mkdir(parents=True, exist_ok=True)
        path.symlink_to(canary / "folder")
        get(server, source)
        if link == manifest:  # Ollama is not told of it; the model runs without
            wait_files(server, source, "ready")
            assert path.is_symlink()
        else:
            ended = wait_files(server, source, "failed")
            assert f"{path} leads out" in ended["reason"], (link, ended)
        assert look(canary) == before, link
        server.cli("files", "rm", source, check=False)
        assert look(canary) == before, f"files rm: {link}"
        path.unlink()
        server.cli("files", "get", source)
