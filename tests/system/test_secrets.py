"""No secret shows in a command line, a log or an answer."""

import json
from pathlib import Path

from harness import Berth


def engine_key(berth: Berth, pid: int) -> list[str]:
    """Values of the engine's environment that are keys."""
    pairs = (pair.partition(b"=") for pair in
             Path(f"/proc/{pid}/environ").read_bytes().split(b"\0"))
    return [value.decode() for name, _, value in pairs if b"API_KEY" in name and value]


def test_the_engine_has_a_key_of_its_own_and_nobody_shows_it(berth: Berth, tiny: str):
    pid = berth.instances(tiny)[0]["pid"]
    keys = engine_key(berth, pid)
    assert keys, "the engine runs without a key"
    argv = Path(f"/proc/{pid}/cmdline").read_text()
    shown = [argv, json.dumps(berth.instances(tiny)), json.dumps(berth.api("GET", "/api/v1/models")),
             json.dumps(berth.api("GET", "/api/v1/workers")),
             json.dumps(berth.api("GET", "/api/v1/events")),
             berth.log(berth.instances(tiny)[0]["name"]), "\n".join(berth.output),
             berth.cli("ps").stdout, berth.http("GET", "/metrics").text]
    for key in keys:
        assert not any(key in text for text in shown)


def test_the_engine_answers_only_with_its_key(berth: Berth, tiny: str):
    import httpx
    instance = berth.instances(tiny)[0]
    answer = httpx.post(f"http://127.0.0.1:{instance['port']}/v1/completions",
                        json={"prompt": "x", "max_tokens": 1}, timeout=20)
    assert answer.status_code == 401


def test_no_key_is_on_a_command_line(berth: Berth, tiny: str):
    token = (berth.data / "worker/join.token").read_text().strip()
    for pid in berth.left_over():
        argv = Path(f"/proc/{pid}/cmdline").read_text()
        assert berth.key not in argv
        assert token.split(".")[1] not in argv


def test_the_database_has_hashes_and_no_keys(berth: Berth, tiny: str):
    for file in berth.data.glob("berth.db*"):
        assert berth.key.encode() not in file.read_bytes()


def test_join_tokens_are_hashes_in_the_database_and_not_shown_again(berth: Berth):
    token = (berth.data / "worker/join.token").read_text().strip().split(".")[1]
    for file in berth.data.glob("berth.db*"):
        assert token.encode() not in file.read_bytes()
    shown = berth.cli("token", "list", "--json").stdout
    assert token not in shown and "hash" not in shown


def test_a_variable_that_looks_secret_is_not_in_the_log(berth: Berth, deployed, tiny_file: Path):
    deployed("secret-env", tiny_file, "--env", "HF_TOKEN=hf_very_secret_value")
    name = berth.wait_ready("secret-env")[0]["name"]
    assert "hf_very_secret_value" not in berth.log(name)
    assert "HF_TOKEN" in berth.log(name)
