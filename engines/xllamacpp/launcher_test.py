"""Tests of the launcher: its flags, its refusals, and a real start with a tiny model.

Needs pytest, gguf and numpy (tests/requirements.lock), and the pack: BERTH_PACK_PYTHON names the interpreter of an
installed one; without it xllamacpp must be importable here.
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import tomllib
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
sys.path.insert(0, str(HERE.parents[1] / "tests" / "models"))

import launcher  # noqa: E402
import llama_flags  # noqa: E402
import tiny_llm  # noqa: E402

PYTHON = os.environ.get("BERTH_PACK_PYTHON", sys.executable)
PATIENCE = 60.0  # seconds for anything that the engine does


def test_pack_toml_lists_the_flags_of_the_table():
    text = (HERE / "pack.toml").read_text()
    assert text.endswith("[launcher]\n" + llama_flags.as_toml()), "run: python3 llama_flags.py"
    tomllib.loads(text)


def test_pack_toml_and_lock_agree_on_the_version():
    version = tomllib.loads((HERE / "pack.toml").read_text())["version"]
    assert f"xllamacpp=={version} " in (HERE / "requirements.lock").read_text()
    assert (HERE / "requirements.in").read_text() == f"xllamacpp=={version}\n"


def test_no_flag_name_is_listed_twice():
    names = [name for flag in llama_flags.FLAGS for name in flag.names]
    assert len(names) == len(set(names))


def test_underscores_in_a_flag_mean_dashes():
    [(flag, name, value), _] = launcher.parse(["--ctx_size", "512", "-m", "x"])
    assert (flag.names[0], name, value) == ("--ctx-size", "--ctx-size", 512)


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["--model", "x", "--frobnicate"], "--frobnicate is not a flag that this engine pack supports"),
        (["--rpc", "a:1"], "--rpc is not supported: this pack has no RPC backend"),
        (["--ctx-size=5"], "--ctx-size takes its value as the next argument, without '='"),
        (["--ctx-size", "many"], "--ctx-size must be a whole number (got 'many')"),
        (["-c", "-1"], "-c must be at least 0 (got -1)"),
        (["--port", "65536"], "--port must be at most 65535 (got 65536)"),
        (["--temp", "nan"], "--temp must be a number (got 'nan')"),
        (["--flash-attn", "maybe"], "--flash-attn must be one of on, off, auto (got 'maybe')"),
        (["--alias", ""], "--alias must not be empty"),
        (["--model"], "--model needs a value"),
        (["--ctx-size", "5"], "--model is missing"),
    ],
)
def test_wrong_flags_are_refused_by_name(arguments, message):
    with pytest.raises(launcher.UsageError) as refusal:
        launcher.parse(arguments)
    assert str(refusal.value) == message


@pytest.mark.parametrize("arguments", [["--api-key", "sesame"], ["--api-key=sesame"]])
def test_a_key_on_the_command_line_is_refused_and_not_repeated(arguments):
    with pytest.raises(launcher.UsageError, match="LLAMA_API_KEY") as refusal:
        launcher.parse(arguments)
    assert "sesame" not in str(refusal.value)


# --- with the engine ------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("models") / "tiny.gguf"
    tiny_llm.write(path)
    return path


class Engine:
    """A launcher with a server on a free port of 127.0.0.1; its log is in `log`."""

    def __init__(self, folder: Path, *flags: object, key: str = ""):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.log = folder / "engine.log"
        command = [PYTHON, "-I", "-B", str(HERE / "launcher.py"), "--port", str(self.port), *map(str, flags)]
        environment = {**os.environ, "LLAMA_API_KEY": key, "OMP_WAIT_POLICY": "passive"}
        with self.log.open("w") as out:
            self.process = subprocess.Popen(command, stdout=out, stderr=out, env=environment)

    def __enter__(self) -> "Engine":
        return self

    def __exit__(self, *_) -> None:
        self.process.kill()
        self.process.wait()

    def ask(self, method: str, path: str, body: object = None, key: str = "") -> tuple[int, str]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        headers = {"Authorization": "Bearer " + key} if key else {}
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()

    def until_ready(self) -> "Engine":
        end = time.monotonic() + PATIENCE
        while "ready, listening on" not in self.text():
            assert self.process.poll() is None, self.text()
            assert time.monotonic() < end, "not ready: " + self.text()
            time.sleep(0.02)
        return self

    def exit_code(self) -> int:
        return self.process.wait(PATIENCE)

    def text(self) -> str:
        return self.log.read_text(errors="replace")


def test_it_serves_with_the_flags_that_berth_gives(tmp_path, tiny):
    flags = ["--model", tiny, "--alias", "chat", "--host", "127.0.0.1", "--ctx-size", 1024, "--parallel", 2,
             "--no-kv-unified", "-fit", "off", "--batch-size", 256, "--ubatch-size", 256, "--gpu-layers", 0,
             "--threads", 1, "--cache-ram", 0, "--metrics", "--no-ui"]
    with Engine(tmp_path, *flags, key="sesame").until_ready() as engine:
        assert engine.ask("GET", "/health")[0] == 200
        assert engine.ask("GET", "/v1/models")[0] == 401
        assert engine.ask("GET", "/v1/models", key="wrong")[0] == 401
        models = json.loads(engine.ask("GET", "/v1/models", key="sesame")[1])
        assert [model["id"] for model in models["data"]] == ["chat"]
        slots = json.loads(engine.ask("GET", "/slots", key="sesame")[1])
        assert [slot["n_ctx"] for slot in slots] == [512, 512]
        assert engine.ask("GET", "/metrics", key="sesame")[0] == 200
        request = {"prompt": "hello", "max_tokens": 4, "ignore_eos": True}
        status, answer = engine.ask("POST", "/v1/completions", request, key="sesame")
        assert status == 200 and json.loads(answer)["usage"]["completion_tokens"] == 4
        request = {"messages": [{"role": "user", "content": "hello"}], "max_tokens": 4}
        assert engine.ask("POST", "/v1/chat/completions", request, key="sesame")[0] == 200


def test_a_prompt_longer_than_a_slot_is_refused_with_the_figures(tmp_path, tiny):
    with Engine(tmp_path, "-m", tiny, "-c", 512, "-np", 2, "--no-kv-unified", "-fit", "off").until_ready() as engine:
        fits = engine.ask("POST", "/v1/completions", {"prompt": [5] * 255, "max_tokens": 1})
        assert fits[0] == 200, fits[1]
        status, answer = engine.ask("POST", "/v1/completions", {"prompt": [5] * 256, "max_tokens": 1})
        error = json.loads(answer)["error"]
        assert (status, error["type"], error["n_ctx"]) == (400, "exceed_context_size_error", 256)


def test_defaults_for_requests_reach_the_server(tmp_path, tiny):
    flags = {"--seed": 7, "--temperature": 0.25, "--top-k": 3, "--top-p": 0.5, "--min-p": 0.125, "--typical-p": 0.75,
             "--repeat-last-n": 9, "--repeat-penalty": 1.5, "--presence-penalty": 0.5, "--frequency-penalty": 0.25,
             "--xtc-probability": 0.5, "--xtc-threshold": 0.25, "--dry-multiplier": 0.5, "--dry-base": 1.5,
             "--dry-allowed-length": 4, "--dry-penalty-last-n": 8, "--dynatemp-range": 0.5, "--dynatemp-exp": 2,
             "--mirostat": 1, "--mirostat-lr": 0.25, "--mirostat-ent": 4}
    renamed = {"dynatemp_exp": "dynatemp_exponent", "mirostat_lr": "mirostat_eta", "mirostat_ent": "mirostat_tau"}
    line = [word for pair in flags.items() for word in pair]
    with Engine(tmp_path, "-m", tiny, "--samplers", "top_k;temperature", *line).until_ready() as engine:
        params = json.loads(engine.ask("GET", "/props")[1])["default_generation_settings"]["params"]
    names = {flag: flag[2:].replace("-", "_") for flag in flags}
    assert {flag: params[renamed.get(name, name)] for flag, name in names.items()} == flags
    assert params["samplers"] == ["top_k", "temperature"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_it_stops_with_zero_in_the_middle_of_a_request(tmp_path, tiny, number):
    with Engine(tmp_path, "-m", tiny, "-c", 2048, "-np", 1, "--context-shift").until_ready() as engine:
        body = json.dumps({"prompt": "hello", "n_predict": 1_000_000, "ignore_eos": True, "stream": True})
        connection = http.client.HTTPConnection("127.0.0.1", engine.port, timeout=PATIENCE)
        connection.request("POST", "/completion", body)
        assert connection.getresponse().read(20)
        engine.process.send_signal(number)
        assert engine.exit_code() == 0


def test_a_port_in_use_ends_it_with_one(tmp_path, tiny):
    with Engine(tmp_path, "-m", tiny).until_ready() as first:
        (tmp_path / "second").mkdir()
        with Engine(tmp_path / "second", "-m", tiny, "--port", first.port) as second:
            assert second.exit_code() == 1
            assert f"port: {first.port}" in second.text()
            assert second.text().splitlines()[-1].startswith("xllamacpp: error: the server did not start")


def test_a_file_that_is_no_model_ends_it_with_one(tmp_path):
    (tmp_path / "no.gguf").write_text("not a model")
    with Engine(tmp_path, "-m", tmp_path / "no.gguf") as engine:
        assert engine.exit_code() == 1
        assert engine.text().splitlines()[-1].startswith("xllamacpp: error: the server did not start")


def test_a_missing_model_is_named_with_its_flag(tmp_path):
    with Engine(tmp_path, "-m", tmp_path / "none.gguf") as engine:
        assert engine.exit_code() == 1
        assert engine.text() == f"xllamacpp: error: -m: cannot open {tmp_path}/none.gguf: No such file or directory\n"


def test_layers_on_a_device_are_refused_where_there_is_none(tmp_path, tiny):
    with Engine(tmp_path, "-m", tiny, "-ngl", 99) as engine:
        assert engine.exit_code() == 2
        assert "xllamacpp: error: -ngl must be 0 or auto" in engine.text()
