"""`berth inspect hf:… | ms:… | ollama:…`: what a model on a hub is, from headers alone."""

import json
import struct
from pathlib import Path
from typing import Iterator

import pytest

from fake_hub import Hub, hub, settings_of  # noqa: F401 (hub is a fixture)
from harness import Berth, running
from test_inspect_url import MEBIBYTE, without_place


@pytest.fixture
def nobody(tmp_path: Path, hub: Hub) -> Berth:
    """No server: inspect needs none."""
    return Berth(tmp_path, settings=settings_of(hub))


@pytest.fixture
def server(tmp_path: Path, hub: Hub) -> Iterator[Berth]:
    with running(tmp_path, **settings_of(hub)) as one:
        yield one


def some_gemma(hub: Hub, gemma_file: Path, **how: bool) -> str:
    return hub.repository("org/gemma-GGUF", **how).commit({
        "README.md": b"# gemma", "gemma-Q4_K_M.gguf": gemma_file, "gemma-Q8_0.gguf": b"x" * 99,
        "gemma-IQ2_M.gguf": b"x" * 9})


def without_hub(told: dict) -> dict:
    told.pop("hub", None)
    return without_place(told)


def test_a_quantisation_on_hugging_face_is_told_from_its_header_alone(
        hub: Hub, nobody: Berth, gemma_file: Path):
    commit = some_gemma(hub, gemma_file)
    told = nobody.json("inspect", "hf:org/gemma-GGUF:Q4_K_M")
    assert MEBIBYTE < hub.cdn.sent < 16 * MEBIBYTE < gemma_file.stat().st_size
    assert told["hub"]["commit"] == commit
    assert told["profile"]["files"][0]["path"] == "gemma-Q4_K_M.gguf"
    assert told["backend"] == "llama-box" and told["ways"][0]["claim"]["devices"]
    assert without_hub(told) == without_place(nobody.json("inspect", gemma_file))


def test_what_is_chosen_and_why_is_shown_with_what_else_there_is(
        hub: Hub, nobody: Berth, gemma_file: Path):
    some_gemma(hub, gemma_file)
    shown = nobody.cli("inspect", "hf.co/org/gemma-GGUF").stdout
    assert "Q4_K_M (241.4 MiB): the preferred of 3 (Q4_K_M first" in shown
    assert "also there    Q8_0 (99 B)" in shown and "also there    IQ2_M (9 B)" in shown
    assert "gemma3" in shown


def test_model_scope_and_ollama_are_read_alike(hub: Hub, nobody: Berth, tiny_file: Path):
    hub.repository("org/tiny").commit({"tiny.gguf": tiny_file})
    hub.tag("library/tiny:latest", [("model", tiny_file.read_bytes()), ("license", b"MIT")])
    expected = without_place(nobody.json("inspect", tiny_file))
    for name in ("hf:org/tiny", "ms:org/tiny", "ms:org/tiny/tiny.gguf", "ollama:tiny"):
        told = without_hub(nobody.json("inspect", name))
        assert told == expected, name


def test_a_model_of_hugging_face_s_layout_is_for_vllm(hub: Hub, nobody: Berth):
    shape = [32, 64]
    header = json.dumps({name: {"dtype": "BF16", "shape": shape,
                                "data_offsets": [i * 4096, (i + 1) * 4096]}
                         for i, name in enumerate(["model.embed_tokens.weight", "lm_head.weight",
                                                   "model.layers.0.mlp.up_proj.weight"])}).encode()
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 64,
              "num_hidden_layers": 1, "num_attention_heads": 4, "num_key_value_heads": 2,
              "vocab_size": 32, "max_position_embeddings": 512, "intermediate_size": 128,
              "torch_dtype": "bfloat16"}
    hub.repository("org/llama").commit({
        "config.json": json.dumps(config).encode(), "tokenizer.json": b"{}",
        "model.safetensors": struct.pack("<Q", len(header)) + header + bytes(3 * 4096),
        "pytorch_model.bin": b"x" * 9999, "onnx/model.onnx": b"x" * 9999})
    told = nobody.json("inspect", "hf:org/llama")
    assert told["backend"] == "vllm"
    assert told["profile"]["name"] == "org/llama"
    assert told["hub"]["files"] == ["config.json", "model.safetensors", "tokenizer.json"]
    assert not any("pytorch" in path or "onnx" in path for path in hub.paths())


def test_a_running_server_reads_it_with_its_own_settings(hub: Hub, server: Berth, tmp_path: Path,
                                                         tiny_file: Path):
    hub.repository("org/tiny").commit({"tiny-Q4_0.gguf": tiny_file})
    told = server.json("inspect", "hf:org/tiny:Q4_0")
    assert told["hub"]["quantisation"] == "Q4_0" and "worker" not in told
    answer = server.http("POST", "/api/v1/evaluate", json={"source": "hf:org/absent"})
    assert answer.status_code == 404 and answer.json()["error"]["param"] == "source"
    run = server.cli("inspect", "hf:org/tiny", "--worker", "any", check=False)
    assert run.returncode != 0 and "leave out the worker" in run.stderr


def test_a_gated_repository_says_where_to_accept_and_which_variable_takes_the_token(
        hub: Hub, nobody: Berth, tiny_file: Path):
    hub.repository("org/gated", gated=True).commit({"tiny.gguf": tiny_file})
    hub.accounts = {"hf_in": {"org/gated"}, "hf_out": set()}
    run = nobody.cli("inspect", "hf:org/gated", check=False)
    assert run.returncode != 0
    assert f"accept its terms at {hub.url}/org/gated" in run.stderr and "HF_TOKEN" in run.stderr
    run = nobody.cli("inspect", "hf:org/gated", check=False, env={"HF_TOKEN": "hf_out"})
    assert run.returncode != 0 and "has no access to it" in run.stderr
    assert "hf_out" not in run.stderr
    run = nobody.cli("inspect", "hf:org/gated", env={"HF_TOKEN": "hf_in"})
    assert "llama" in run.stdout and "hf_in" not in run.stdout + run.stderr
    assert all("authorization" not in one.headers for one in hub.cdn.asked)


def test_the_token_of_a_login_is_used_and_its_readers_are_warned_of(
        hub: Hub, nobody: Berth, tmp_path: Path, tiny_file: Path):
    hub.repository("org/gated", gated=True).commit({"tiny.gguf": tiny_file})
    hub.accounts = {"hf_in": {"org/gated"}}
    token = tmp_path / "huggingface/token"
    token.parent.mkdir()
    token.write_text("hf_in\n")
    token.chmod(0o644)
    run = nobody.cli("inspect", "hf:org/gated", "--json")
    assert json.loads(run.stdout)["backend"] == "llama-box"
    assert f"chmod 600 {token}" in run.stderr and "hf_in" not in run.stdout + run.stderr
    token.chmod(0o600)
    assert nobody.cli("inspect", "hf:org/gated").stderr == ""
    run = nobody.cli("inspect", "hf:org/gated", check=False,
                     env={"HF_HUB_DISABLE_IMPLICIT_TOKEN": "1"})
    assert run.returncode != 0 and "unset HF_HUB_DISABLE_IMPLICIT_TOKEN" in run.stderr


def test_a_hub_in_trouble_is_asked_again(hub: Hub, nobody: Berth, tiny_file: Path):
    hub.repository("org/tiny").commit({"tiny.gguf": tiny_file})
    busy = hub.faults.add("/api/models/*", status=503)
    later = hub.faults.add("*/tree/*", status=429, headers={"Retry-After": "1"})
    cut = hub.faults.add("*", at="cdn", cut_after=1000)
    assert nobody.json("inspect", "hf:org/tiny")["backend"] == "llama-box"
    assert (busy.struck, later.struck, cut.struck) == (1, 1, 1)


def test_a_file_that_is_not_as_it_was_listed_is_refused(hub: Hub, nobody: Berth, tiny_file: Path):
    hub.repository("org/tiny").commit({"tiny.gguf": tiny_file})
    hub.faults.add("*", at="cdn", times=None,
                   act=lambda: setattr(hub.repositories["org/tiny"].commits[
                       hub.repositories["org/tiny"].refs["main"]]["tiny.gguf"], "size", 9999))
    run = nobody.cli("inspect", "hf:org/tiny", check=False)
    assert run.returncode != 0 and "bytes and sends a file of 9999" in run.stderr


@pytest.mark.parametrize("path", ["../../etc/cron.d/x", "/etc/passwd", "a/../../b"])
def test_a_hostile_hub_s_paths_are_refused(hub: Hub, nobody: Berth, tiny_file: Path, path: str):
    hub.repository("org/evil").commit({"tiny.gguf": tiny_file, path: b"x"})
    for name in ("hf:org/evil", "ms:org/evil"):
        run = nobody.cli("inspect", name, check=False)
        assert run.returncode != 0 and "nothing of it is read" in run.stderr


def test_offline_nobody_is_asked(hub: Hub, nobody: Berth):
    run = nobody.cli("inspect", "hf:org/tiny", check=False, env={"HF_HUB_OFFLINE": "1"})
    assert run.returncode != 0 and "HF_HUB_OFFLINE" in run.stderr
    assert not hub.web.asked


def test_a_name_that_no_hub_has_is_refused_with_the_form(hub: Hub, nobody: Berth):
    for name in ("hf:model", "hf:org/../x", "ms:o", "ollama:a/b/c"):
        run = nobody.cli("inspect", name, check=False)
        assert run.returncode == 2 and "; write " in run.stderr, name
    assert not hub.web.asked
