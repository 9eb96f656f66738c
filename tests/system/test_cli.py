"""The command line: help, JSON, exit statuses, colours, and errors a person can act on."""

import json

import pytest

from harness import Berth

COMMANDS = ["serve", "shutdown", "worker", "inspect", "deploy", "plan", "sim", "run", "ps", "models", "workers",
            "logs", "scale", "stop", "rm", "apply", "get", "edit", "diff", "schema", "engines",
            "engines list", "engines install", "engines rm", "engines prune", "key", "key create",
            "key list", "key rm", "key reset-admin", "events", "version", "docs"]


@pytest.mark.parametrize("command", COMMANDS)
def test_each_command_has_help(stopped_berth: Berth, command: str):
    run = stopped_berth.cli(*command.split(), "--help")
    assert len(run.stdout.splitlines()) >= 3
    assert not run.stderr


def test_help_names_every_command(stopped_berth: Berth):
    text = stopped_berth.cli("--help").stdout
    for command in {one.split()[0] for one in COMMANDS}:
        assert command in text


@pytest.mark.parametrize("arguments", [
    ["no-such-command"], ["ps", "--no-such-flag"], ["deploy"], ["deploy", "name"], ["logs"],
    ["scale", "x"], ["scale", "x", "many"], ["scale", "x", "-1"], ["rm"], ["key", "create"],
    ["inspect"], ["run"], ["serve", "--listen", "nonsense"]])
def test_wrong_usage_is_status_2_and_told_on_stderr(berth: Berth, arguments: list[str]):
    run = berth.cli(*arguments, check=2, timeout=30)
    assert run.stderr.strip()
    assert not run.stdout.strip()


@pytest.mark.parametrize("arguments", [
    ["scale", "no-such-model", 2], ["rm", "no-such-model"], ["logs", "no-such-instance"],
    ["key", "rm", "no-such-key"], ["engines", "install", "no-such-pack"],
    ["inspect", "no-such-file.gguf"], ["run", "no-such-file.gguf", "x"]])
def test_what_is_not_there_is_status_1_and_named(berth: Berth, arguments: list):
    run = berth.cli(*arguments, check=1, timeout=60)
    assert "no-such" in run.stderr
    assert not run.stdout.strip()


@pytest.mark.parametrize("command", ["ps", "models", "workers", "engines list", "key list", "events",
                                     "version"])
def test_json_is_json_and_the_plain_form_is_not(berth: Berth, tiny: str, command: str):
    assert berth.json(*command.split())
    plain = berth.cli(*command.split()).stdout
    with pytest.raises(json.JSONDecodeError):
        json.loads(plain)
    assert "\x1b" not in plain


def test_ps_shows_the_instance(berth: Berth, tiny: str):
    instance = berth.instances(tiny)[0]
    text = berth.cli("ps").stdout
    assert instance["name"] in text and "ready" in text
    assert instance["name"] in [one["name"] for one in berth.json("ps")["items"]]


def test_models_shows_state_and_readiness(berth: Berth, tiny: str):
    assert tiny in berth.cli("models").stdout
    model = next(one for one in berth.json("models")["items"] if one["name"] == tiny)
    assert model["ready"] == 1 and model["instances"] == 1
    assert model["backend"] == "llama-box"


def test_workers_shows_this_machine(berth: Berth):
    worker = berth.json("workers")["items"][0]
    assert worker["state"] == "ready"
    assert worker["system"]["os"] == "linux"
    cpu = next(one for one in worker["devices"] if one["kind"] == "cpu")
    assert cpu["memory"] > 1 << 30
    assert worker["name"] in berth.cli("workers").stdout


def test_events_tell_what_happened(berth: Berth, tiny: str):
    events = berth.json("events")["items"]
    assert events and all(one["message"] for one in events)
    instance = berth.instances(tiny)[0]["name"]
    told = berth.api("GET", f"/api/v1/events?kind=instance&name={instance}")["items"]
    assert {"Created", "ready"} <= {one["reason"] for one in told}


def test_version_is_told(stopped_berth: Berth):
    assert "0." in stopped_berth.cli("version").stdout
    assert stopped_berth.json("version")["version"]


def test_the_parameter_reference_is_generated(stopped_berth: Berth):
    text = stopped_berth.cli("docs", "backend", "llama-box").stdout
    for flag in ("--ctx-size", "--parallel", "--host"):
        assert flag in text


def test_colours_need_a_terminal_and_yield_to_no_color(berth: Berth, tiny: str):
    import os
    import pty
    import subprocess
    from harness import BERTH

    def on_a_terminal(**env: str) -> str:
        ours, theirs = pty.openpty()
        base = {k: v for k, v in berth.env.items() if k != "NO_COLOR"} | {"TERM": "xterm-256color"}
        process = subprocess.Popen([BERTH, "ps"], env=base | env, stdin=theirs, stdout=theirs,
                                   stderr=theirs)
        os.close(theirs)
        text = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            if not piece:
                break
            text += piece
        os.close(ours)
        assert process.wait(20) == 0
        return text.decode()

    assert "\x1b[" in on_a_terminal()
    assert "\x1b[" not in on_a_terminal(NO_COLOR="1")
