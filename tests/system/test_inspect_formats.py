"""Models that are not GGUF: what Berth makes of their files, and which backend it would take."""

import json
import struct
from pathlib import Path
from typing import Any

import pytest

from harness import Berth

LLAMA = {
    "architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 128,
    "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "vocab_size": 1000, "max_position_embeddings": 16384,
    "tie_word_embeddings": True, "torch_dtype": "bfloat16",
}


def safetensors(path: Path, tensors: dict[str, list[int]]) -> None:
    """Tensors of zeros in 16 bits."""
    header: dict[str, Any] = {}
    size = 0
    for name, shape in tensors.items():
        length = 2
        for one in shape:
            length *= one
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [size, size + length]}
        size += length
    text = json.dumps(header).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(struct.pack("<Q", len(text)) + text + bytes(size))


@pytest.fixture
def llama_folder(tmp_path: Path) -> Path:
    folder = tmp_path / "tiny-llama"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(LLAMA))
    layer = {"self_attn.q_proj": [128, 128], "self_attn.k_proj": [64, 128],
             "self_attn.v_proj": [64, 128], "self_attn.o_proj": [128, 128],
             "mlp.gate_proj": [256, 128], "mlp.up_proj": [256, 128], "mlp.down_proj": [128, 256]}
    tensors = {"model.embed_tokens.weight": [1000, 128], "model.norm.weight": [128]}
    for index in range(2):
        tensors |= {f"model.layers.{index}.{name}.weight": shape for name, shape in layer.items()}
    safetensors(folder / "model.safetensors", tensors)
    return folder


@pytest.fixture
def whisper_folder(tmp_path: Path) -> Path:
    """The layout of faster-whisper, with the head of a real model.bin."""
    folder = tmp_path / "faster-whisper-tiny"
    folder.mkdir()
    name = b"WhisperSpec\0"
    (folder / "model.bin").write_bytes(
        struct.pack("<I", 6) + struct.pack("<H", len(name)) + name + struct.pack("<II", 3, 0)
        + bytes(4096))
    (folder / "tokenizer.json").write_text("{}")
    (folder / "config.json").write_text(json.dumps({"alignment_heads": [[2, 2]]}))
    (folder / "vocabulary.txt").write_text("a\nb\n")
    return folder


def test_a_folder_of_hugging_face_is_for_vllm(berth: Berth, llama_folder: Path):
    found = berth.json("inspect", llama_folder, "--devices", "8GiB")
    assert found["backend"] == "vllm"
    assert "LlamaForCausalLM" in found["backend_reason"]
    assert any(one.startswith("llama-box ") for one in found["other_backends"])
    assert found["platforms"] == ["linux/amd64", "linux/arm64"]
    profile = found["profile"]
    assert profile["context_length"] == 16384
    assert profile["parameters"] == 1000 * 128 + 128 + 2 * (2 * 128 * 128 + 2 * 64 * 128
                                                           + 3 * 256 * 128)
    device = next(way for way in found["ways"] if way["on"] == "device")
    assert device["serving"]["context"] == 8192, "the default for models of a larger context"
    claim = device["claim"]["devices"][0]
    assert claim["weights"] == 2 * profile["parameters"]
    # Layers, heads, key and value, bytes; vLLM keeps one block of 16 tokens back.
    assert claim["kv_cache"] == (8192 + 16) * 2 * 2 * (32 + 32) * 2
    assert found["fit"]["kind"] == "whole"
    assert found["fit"]["longest_context"] == 16384


def test_a_person_reads_why_and_what_it_takes(berth: Berth, llama_folder: Path):
    told = berth.cli("inspect", llama_folder, "--devices", "4GiB,4GiB", "--ctx-size", "1024")
    for part in ("vllm: the model is a LlamaForCausalLM", "llama-box serves GGUF files only",
                 "ascend-mindie serves only where it is named", "On 4.0 GiB, 4.0 GiB: it fits whole",
                 "That has room for one request of up to 1024 tokens", "The longest context"):
        assert part in told.stdout
    assert "does not start vllm yet" in told.stderr


def test_a_cache_of_vllm_has_room_for_so_many_tokens(berth: Berth, llama_folder: Path):
    def told(size: int, *flags: str, check: bool = True):
        return berth.cli("inspect", llama_folder, "--ctx-size", "1024", *flags, "--",
                         "--kv-cache-memory-bytes", str(size), check=check)

    size = 64 << 20
    ways = json.loads(told(size, "--json").stdout)["ways"]
    assert [way["claim"]["devices"][0]["kv_cache"] for way in ways] == [size, size]
    assert [way["cached_tokens"] for way in ways] == [size // 512] * 2, "a token takes 512 bytes"
    assert "room for 131072 tokens of all requests together" in told(size).stdout
    # Blocks have 128 tokens on the CPU, and vLLM keeps one of them back.
    refused = told(512 * (1024 + 128) - 1, check=False)
    assert refused.returncode != 0
    assert "has no room for one request of 1024 tokens, which needs 589824" in refused.stderr


def test_a_model_for_an_engine_that_is_not_there_yet_is_refused_with_why(
        berth: Berth, llama_folder: Path):
    told = berth.cli("deploy", "not-yet", "--model", llama_folder, check=False)
    assert told.returncode != 0
    assert "vllm would serve this model" in told.stderr
    assert berth.http("GET", "/api/v1/models/not-yet").status_code == 404


def test_mindie_serves_where_it_is_named(berth: Berth, llama_folder: Path):
    found = berth.json("inspect", llama_folder, "--backend", "ascend-mindie")
    assert found["backend"] == "ascend-mindie"
    assert [way["on"] for way in found["ways"]] == ["device"], "it needs an NPU"


def test_a_speech_model_is_for_vox_box(berth: Berth, whisper_folder: Path):
    found = berth.json("inspect", whisper_folder)
    assert found["backend"] == "vox-box"
    assert found["profile"]["category"] == "speech_to_text"
    assert "windows/amd64" in found["platforms"]
    assert all(way["claim"]["devices"][0]["weights"] for way in found["ways"])


def test_an_image_model_is_known_and_refused_with_why(berth: Berth, tmp_path: Path):
    folder = tmp_path / "pipeline"
    folder.mkdir()
    (folder / "model_index.json").write_text(json.dumps(
        {"_class_name": "StableDiffusionPipeline", "unet": ["diffusers", "UNet2DConditionModel"],
         "vae": ["diffusers", "AutoencoderKL"], "text_encoder": ["transformers", "CLIPTextModel"]}))
    for part in ("unet/diffusion_pytorch_model", "vae/diffusion_pytorch_model",
                 "text_encoder/model"):
        safetensors(folder / f"{part}.safetensors", {"w": [8]})
    told = berth.cli("inspect", folder, check=False)
    assert told.returncode != 0
    assert "no backend can serve this model" in told.stderr
    assert "image" in told.stderr


@pytest.mark.parametrize("name, text, says", [
    ("config.json", "[]", "no JSON object"),
    ("config.json", json.dumps(LLAMA | {"num_hidden_layers": -1}), "num_hidden_layers"),
    ("model.safetensors", "\xff" * 100, "header"),
    ("model.safetensors.index.json", json.dumps({"weight_map": {"w": "gone.safetensors"}}),
     "gone.safetensors"),
])
def test_a_broken_folder_is_named_by_file_and_field(berth: Berth, llama_folder: Path, name: str,
                                                    text: str, says: str):
    (llama_folder / name).write_text(text, encoding="latin-1")
    told = berth.cli("inspect", llama_folder, check=False)
    assert told.returncode != 0
    assert says in told.stderr and name in told.stderr


@pytest.mark.parametrize("devices, says", [("much", "--devices"), ("24GiB," * 16 + "24GiB", "devices")])
def test_a_wrong_device_is_a_wrong_use(berth: Berth, llama_folder: Path, devices: str, says: str):
    told = berth.cli("inspect", llama_folder, "--devices", devices, check=2)
    assert says in told.stderr
