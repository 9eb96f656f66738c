"""`berth inspect`: what a file is, what it needs, which backend and why; nothing is started."""

import json
import os
from pathlib import Path

import httpx
import pytest

from harness import Berth, eventually


@pytest.fixture(scope="module")
def nobody(tmp_path_factory: pytest.TempPathFactory) -> Berth:
    """No server: inspect needs none."""
    return Berth(tmp_path_factory.mktemp("inspect"))


def test_a_person_reads_what_it_is_and_needs(nobody: Berth, gemma_file: Path):
    text = nobody.cli("inspect", gemma_file).stdout
    for word in ("gemma3", "Q4_K_M", "llama-box", "8192", "MiB"):
        assert word in text, word


def test_a_program_reads_the_same(nobody: Berth, gemma_file: Path):
    told = json.loads(nobody.cli("inspect", gemma_file, "--json").stdout)
    profile = told["profile"]
    assert profile["architecture"] == "gemma3"
    assert profile["context_length"] == 32768
    assert profile["layer_count"] == 18
    assert 250_000_000 < profile["parameters"] < 450_000_000
    assert told["backend"] == "llama-box"
    assert told["backend_reason"] or told["reason"]
    assert "8192" in json.dumps(told)


def test_nothing_runs_and_no_server_is_started(nobody: Berth, tiny_file: Path):
    nobody.cli("inspect", tiny_file)
    assert not nobody.left_over()


def test_a_file_that_is_no_model(nobody: Berth, tmp_path: Path):
    file = tmp_path / "x.gguf"
    file.write_text("nothing")
    assert "x.gguf" in nobody.cli("inspect", file, check=1).stderr


def test_without_a_server_the_file_is_read_here(nobody: Berth, tiny_file: Path):
    assert "this machine" in nobody.cli("inspect", tiny_file).stdout
    assert "worker" not in json.loads(nobody.cli("inspect", tiny_file, "--json").stdout)


def worker_of(berth: Berth) -> str:
    return eventually("a worker has joined", lambda: berth.api("GET", "/api/v1/workers")["items"]
                      )[0]["name"]


def test_with_a_server_a_worker_reads_the_file(berth: Berth, nobody: Berth, tiny_file: Path):
    name = worker_of(berth)
    eventually("the worker is ready", lambda: berth.api("GET", "/api/v1/workers")["items"][0]["state"]
               == "ready")
    assert f"the worker {name}" in berth.cli("inspect", tiny_file).stdout
    told = berth.json("inspect", tiny_file)
    here = json.loads(nobody.cli("inspect", tiny_file, "--json").stdout)
    assert told.pop("worker") == name
    assert told == here


def test_a_relative_path_is_meant_from_here(berth: Berth, tiny_file: Path):
    (berth.home / "relative.gguf").symlink_to(tiny_file)
    assert berth.json("inspect", "relative.gguf")["path"] == str(berth.home / "relative.gguf")


def test_the_worker_that_looked_is_named_where_nothing_is_found(berth: Berth, tmp_path: Path):
    name = worker_of(berth)
    for command in (["inspect", tmp_path / "absent.gguf"],
                    ["deploy", "absent", "--model", tmp_path / "absent.gguf"]):
        run = berth.cli(*command, check=1)
        assert name in run.stderr and "absent.gguf" in run.stderr
    assert "no-such-worker" in berth.cli("inspect", tmp_path, "--worker", "no-such-worker",
                                         check=1).stderr


def test_deploy_says_who_read_the_file(berth: Berth, deployed, tiny_file: Path):
    name = worker_of(berth)
    deployed("read-by", tiny_file, "--replicas", 0)
    assert berth.api("GET", "/api/v1/models/read-by")["read_by"] == name
    berth.cli("rm", "read-by")
    berth.wait_gone("read-by")
    assert f"was read on the worker {name}" in berth.deploy(
        "read-by", tiny_file, "--replicas", 0).stderr


def test_flags_and_backends_are_checked_by_the_server_too(berth: Berth, tiny_file: Path):
    run = berth.cli("inspect", tiny_file, "--", "--port", "1", check=2)
    assert "--port" in run.stderr
    assert berth.cli("inspect", tiny_file, "--backend", "none", check=False).returncode != 0
    for source in ("relative.gguf", ""):
        answer = berth.http("POST", "/api/v1/evaluate", json={"source": source})
        assert answer.status_code == 400 and answer.json()["error"]["param"] == "source"


def test_what_is_no_file_does_not_hold_up_the_worker(berth: Berth, tmp_path: Path):
    os.mkfifo(tmp_path / "pipe.gguf")
    for path in (tmp_path / "pipe.gguf", "/dev/zero", "/proc/self/mem"):
        assert str(path) in berth.cli("inspect", path, check=False, timeout=30).stderr


def test_without_a_worker_the_server_reads_its_own_disk(stopped_berth: Berth, tiny_file: Path):
    stopped_berth.start("--no-worker")
    assert "worker" not in stopped_berth.json("inspect", tiny_file)
    run = stopped_berth.cli("inspect", tiny_file.parent / "absent.gguf", check=1)
    assert "no worker is ready" in run.stderr
    assert "server's machine" in stopped_berth.cli(
        "deploy", "own", "--model", tiny_file, "--replicas", 0).stderr


def test_the_worker_s_own_route_is_the_server_s_alone(berth: Berth, tiny_file: Path):
    address = berth.api("GET", "/api/v1/workers")["items"][0]["address"]
    for key in (berth.key, "wrong"):
        answer = httpx.get(f"https://{address}/worker/v1/profile", params={"path": str(tiny_file)},
                           headers={"Authorization": f"Bearer {key}"}, verify=False)
        assert answer.status_code == 401
