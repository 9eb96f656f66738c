"""What an engine finds in its environment: nothing that the worker happened to have, and nothing by
which a deployment could take over what Berth decides."""

import os
import re
import socket
from pathlib import Path
from typing import Callable, Iterator

import pytest

from harness import ENGINE_DEADLINE, Berth, eventually, running

HIJACKED = "/hijacked"
# What each wildcard of the table stands for, among other names.
EXAMPLES = {
    "LLAMA_ARG_*": ["LLAMA_ARG_PORT", "LLAMA_ARG_HOST", "LLAMA_ARG_MODEL", "LLAMA_ARG_CTX_SIZE"],
    "LLAMA_LOG_*": ["LLAMA_LOG_FILE"],
    "LLAMA_SERVER_*": ["LLAMA_SERVER_ROUTER_PORT", "LLAMA_SERVER_CHILD_MODE"],
    "LD_*": ["LD_PRELOAD", "LD_AUDIT", "LD_LIBRARY_PATH"],
    "DYLD_*": ["DYLD_INSERT_LIBRARIES"],
    "PYTHON*": ["PYTHONPATH", "PYTHONSTARTUP", "PYTHONHOME"],
    "PERL5*": ["PERL5LIB"],
    "OPENSSL_*": ["OPENSSL_MODULES"],
    "OCL_ICD_*": ["OCL_ICD_FILENAMES"],
    "BERTH_*": ["BERTH_INSTANCE", "BERTH_CLUSTER"],
}
OTHERS = ["VLLM_PORT", "RAY_ADDRESS", "WORLD_SIZE", "HARBOUR"]
NOT_FOR_THE_SERVER = {"PATH", "HOME", "LD_AUDIT"}  # which would not start with them


def table(server: Berth) -> dict[str, str]:
    """The variables that llama-box knows, and what happens to each."""
    text = server.cli("docs", "backend", "llama-box").stdout
    section = text.split("## Environment variables", 1)[1]
    return dict(re.findall(r"^\| `([^`]+)` \| ([^|]+) \|", section, re.MULTILINE))


def examples(pattern: str) -> list[str]:
    return EXAMPLES[pattern] if pattern.endswith("*") else [pattern]


def environment_of(pid: int) -> dict[str, str]:
    raw = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return dict(item.decode().split("=", 1) for item in raw if b"=" in item)


def chats(server: Berth, model: str) -> bool:
    answer = server.openai().chat.completions.create(
        model=model, messages=[{"role": "user", "content": "hello"}], max_tokens=4)
    return answer.usage.completion_tokens > 0


def test_every_variable_on_the_worker_and_the_engine_still_chats(
        berth: Berth, tmp_path: Path, tiny_file: Path):
    names = {name for pattern in table(berth) for name in examples(pattern)} | set(OTHERS)
    names -= NOT_FOR_THE_SERVER
    with running(tmp_path, **dict.fromkeys(sorted(names), HIJACKED)) as server:
        server.deploy("free", tiny_file)
        instance = server.wait_ready("free")[0]
        found = environment_of(instance["pid"])
        assert HIJACKED not in found.values(), found
        assert not names & found.keys() - {
            "BERTH_INSTANCE", "BERTH_CLUSTER", "LLAMA_API_KEY", "OMP_WAIT_POLICY", "SPT_NOENV"}
        assert chats(server, "free")


def test_every_variable_in_a_deployment_is_refused_or_harmless(
        berth: Berth, deployed: Callable, tiny_file: Path):
    accepted = {"HARBOUR": "calm"}
    for pattern, effect in table(berth).items():
        for name in examples(pattern):
            if effect == "set by Berth unless you give it":
                accepted[name] = "active"
                continue
            answer = berth.http("POST", "/api/v1/models", json={
                "name": "taken-over", "source": str(tiny_file), "env": {name: HIJACKED}})
            assert answer.status_code == 400, (name, answer.text)
            error = answer.json()["error"]
            assert error["param"] == f"env.{name}" and name in error["message"]
            if effect.startswith("refused unless"):
                assert f"--allow-env {name}" in error["message"]
    deployed("own-values", tiny_file,
             *(word for name, value in accepted.items() for word in ("--env", f"{name}={value}")))
    found = environment_of(berth.wait_ready("own-values")[0]["pid"])
    assert accepted.items() <= found.items()
    assert chats(berth, "own-values")


@pytest.fixture
def allowing(tmp_path: Path) -> Iterator[Berth]:
    """A server whose operator allows a variable that could run other code."""
    with running(tmp_path, BERTH_ALLOW_ENV="LD_BIND_NOW,PYTHONUTF8") as server:
        yield server


def test_the_operator_may_allow_a_guarded_variable(allowing: Berth, tiny_file: Path):
    refused = allowing.deploy("no", tiny_file, "--env", "LD_PRELOAD=/x.so", check=False)
    assert refused.returncode != 0 and "LD_PRELOAD" in refused.stderr
    allowing.deploy("yes", tiny_file, "--env", "LD_BIND_NOW=1")
    instance = allowing.wait_ready("yes")[0]
    assert environment_of(instance["pid"])["LD_BIND_NOW"] == "1"
    assert "LD_BIND_NOW=1  (user)" in allowing.log(instance["name"])
    assert chats(allowing, "yes")


def test_the_operator_can_not_allow_what_is_berth_s(stopped_berth: Berth):
    run = stopped_berth.cli("serve", "--allow-env", "CUDA_VISIBLE_DEVICES", check=False)
    assert run.returncode != 0
    assert "allow_env" in run.stderr and "CUDA_VISIBLE_DEVICES" in run.stderr


def test_the_log_s_head_says_who_set_each_variable(berth: Berth, deployed: Callable,
                                                   tiny_file: Path):
    deployed("owners", tiny_file, "--env", "HARBOUR=calm", "--env", "MY_TOKEN=hush")
    head = berth.log(berth.wait_ready("owners")[0]["name"])[:8000]
    for line in ("HARBOUR=calm  (user)", "MY_TOKEN=***  (user)", "LANG=C.UTF-8  (system)",
                 "OMP_WAIT_POLICY=passive  (backend)", "LLAMA_API_KEY=***  (berth)"):
        assert f"#   {line}" in head
    assert "hush" not in head
