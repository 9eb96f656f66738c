"""Writes the projector of a LLaVA with random weights, as GGUF: it gives the tiny model eyes that see nonsense.

    python3 tiny_mmproj.py OUT.gguf [F16|F32]

Pictures of 56×56 in patches of 14×14, 2 layers, projected to the width of tiny_llm.py. The same versions of gguf
and numpy give the same file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import gguf
import numpy as np

import tiny_llm

WIDTH = 32
FEED_FORWARD = 2 * WIDTH
LAYERS = 2
HEADS = 2
IMAGE = 56
PATCH = 14
PATCHES = (IMAGE // PATCH) ** 2


def _add_metadata(writer: gguf.GGUFWriter, precision: str) -> None:
    writer.add_type("mmproj")
    writer.add_name("tiny-random-mmproj")
    writer.add_file_type(gguf.LlamaFileType.ALL_F32 if precision == "F32" else gguf.LlamaFileType.MOSTLY_F16)
    writer.add_bool("clip.has_vision_encoder", True)
    writer.add_string("clip.projector_type", "mlp")
    writer.add_bool("clip.use_gelu", False)
    numbers = {"image_size": IMAGE, "patch_size": PATCH, "embedding_length": WIDTH, "block_count": LAYERS,
               "feed_forward_length": FEED_FORWARD, "projection_dim": tiny_llm.WIDTH,
               "attention.head_count": HEADS}
    for name, number in numbers.items():
        writer.add_uint32(f"clip.vision.{name}", number)
    writer.add_float32("clip.vision.attention.layer_norm_epsilon", 1e-5)
    writer.add_array("clip.vision.image_mean", [0.5, 0.5, 0.5])
    writer.add_array("clip.vision.image_std", [0.5, 0.5, 0.5])


def _add_tensors(writer: gguf.GGUFWriter, precision: str) -> None:
    generator = np.random.default_rng(3)
    matrix = np.float32 if precision == "F32" else np.float16

    def random(name: str, *shape: int, kind: type = np.float32) -> None:
        writer.add_tensor(name, (generator.standard_normal(shape) * 0.1).astype(kind))

    def linear(name: str, outputs: int, inputs: int) -> None:
        random(name + ".weight", outputs, inputs, kind=matrix)
        writer.add_tensor(name + ".bias", np.zeros(outputs, np.float32))

    def norm(name: str) -> None:
        writer.add_tensor(name + ".weight", np.ones(WIDTH, np.float32))
        writer.add_tensor(name + ".bias", np.zeros(WIDTH, np.float32))

    random("v.class_embd", WIDTH)
    random("v.patch_embd.weight", WIDTH, 3, PATCH, PATCH, kind=matrix)
    random("v.position_embd.weight", PATCHES + 1, WIDTH)
    norm("v.pre_ln")
    for layer in range(LAYERS):
        block = f"v.blk.{layer}."
        norm(block + "ln1")
        norm(block + "ln2")
        for name in ("attn_q", "attn_k", "attn_v", "attn_out"):
            linear(block + name, WIDTH, WIDTH)
        linear(block + "ffn_up", FEED_FORWARD, WIDTH)
        linear(block + "ffn_down", WIDTH, FEED_FORWARD)
    linear("mm.0", tiny_llm.WIDTH, WIDTH)
    linear("mm.2", tiny_llm.WIDTH, tiny_llm.WIDTH)


def write(path: Path, precision: str = "F16") -> None:
    """Writes the projector to `path`, replacing what is there."""
    writer = gguf.GGUFWriter(path, "clip")
    _add_metadata(writer, precision)
    _add_tensors(writer, precision)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3) or sys.argv[2:] not in ([], ["F16"], ["F32"]):
        sys.exit("usage: tiny_mmproj.py OUT.gguf [F16|F32]")
    write(Path(sys.argv[1]), *sys.argv[2:])
