"""`berth run`: from a file to an answer in one command, with a server in the background if need be."""

import json
import os
import signal
from pathlib import Path

from harness import Berth, eventually


def test_run_starts_a_server_deploys_answers_and_keeps_the_model(
        stopped_berth: Berth, gemma_file: Path):
    berth = stopped_berth
    # A port of our own, so that no other server answers in its place.
    berth.settings["BERTH_LISTEN"] = f"127.0.0.1:{berth.port}"
    run = berth.cli("run", gemma_file, "The capital of France is", "--max-tokens", 6, timeout=300)
    server = json.loads((berth.data / "server.json").read_text())["pid"]
    try:
        assert run.stdout.strip()
        assert "server" in run.stderr.lower(), "it does not say that it started one"
        assert (berth.data / "logs/server.log").stat().st_size > 0
        models = berth.api("GET", "/api/v1/models")["items"]
        assert [one["deployment"]["source"] for one in models] == [str(gemma_file)]

        again = berth.cli("run", gemma_file, "The capital of France is", "--max-tokens", 6)
        assert again.stdout.strip()
        assert len(berth.api("GET", "/api/v1/models")["items"]) == 1
        assert len(berth.instances()) == 1

        by_name = berth.cli("run", models[0]["name"], "Once upon", "--max-tokens", 3)
        assert by_name.stdout.strip()
    finally:
        os.kill(server, signal.SIGTERM)
        eventually("the server ended", lambda: not berth.left_over(), 30)


def test_run_uses_the_server_that_is_there(berth: Berth, tiny: str):
    run = berth.cli("run", tiny, "hello", "--max-tokens", 2)
    assert "background" not in run.stderr


def test_run_takes_the_prompt_from_stdin(berth: Berth, gemma: str):
    run = berth.cli("run", gemma, "--complete", "--max-tokens", 4, stdin="The capital of France is")
    assert run.stdout.strip()


def test_run_can_chat_and_complete(berth: Berth, tiny: str):
    assert berth.cli("run", tiny, "hello", "--chat", "--max-tokens", 3).returncode == 0
    assert berth.cli("run", tiny, "hello", "--complete", "--max-tokens", 3).returncode == 0
