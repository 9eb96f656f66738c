"""GGUF files that have a header and, instead of weights, a hole: shapes of published models.

    bench/estimates/shapes.py FOLDER [NAME...]

Dimensions are those of the models' configurations; tensors those that llama.cpp loads
(tensors.py). The engine and its judge take such a file for the model, and it takes a few MiB.
"""

import sys
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from gguf import GGMLQuantizationType as Type
from gguf import GGUFWriter, TokenType
from gguf.constants import GGML_QUANT_SIZES

sys.path.insert(0, str(Path(__file__).resolve().parent))
from published import SHAPES  # noqa: E402
from tensors import tensors  # noqa: E402

# By name of the mix: type of most weights, and of the head and half of the values and downs.
MIXES = {
    "F16": (Type.F16, Type.F16),
    "BF16": (Type.BF16, Type.BF16),
    "Q8_0": (Type.Q8_0, Type.Q8_0),
    "Q4_0": (Type.Q4_0, Type.Q6_K),
    "Q4_K_M": (Type.Q4_K, Type.Q6_K),
    "Q5_K_M": (Type.Q5_K, Type.Q6_K),
    "Q3_K_M": (Type.Q3_K, Type.Q5_K),
    "IQ4_XS": (Type.IQ4_XS, Type.Q6_K),
    "MXFP4": (Type.Q8_0, Type.Q8_0),  # and the experts in MXFP4
}
FILE_TYPES = {"F16": 1, "Q4_0": 2, "Q8_0": 7, "Q3_K_M": 12, "Q4_K_M": 15, "Q5_K_M": 17,
              "IQ4_XS": 30, "BF16": 32, "MXFP4": 38}
# Where a row is no multiple of 256 (llama-quant.cpp).
FALLBACK = {Type.Q3_K: Type.IQ4_NL, Type.Q4_K: Type.Q5_0, Type.Q5_K: Type.Q5_1,
            Type.Q6_K: Type.Q8_0, Type.IQ4_XS: Type.IQ4_NL}
# Never quantised, two-dimensional or not.
PLAIN = ("_norm", "ffn_gate_inp", "ssm_conv1d", "ssm_a", "ssm_d.", "ssm_d", "shortconv.conv",
         "position_embd", "token_types", "time_mix_", "attn_sinks", "exp_probs_b", "cls.output")
LARGE = ("time_mix_key", "time_mix_value", "time_mix_receptance", "time_mix_output")


def type_of(name: str, dimensions: tuple[int, ...], quant: str) -> Type:
    plain = any(part in name for part in PLAIN) and not any(part in name for part in LARGE)
    if len(dimensions) == 1 or name.endswith(".bias") or (plain and "ssm_dt.w" not in name):
        return Type.F32
    if quant == "MXFP4" and "_exps" in name:
        return Type.MXFP4
    most, better = MIXES[quant]
    layer = int(name.split(".")[1]) if name.startswith("blk.") else 0
    fine = (name in ("output.weight", "token_embd.weight") or
            (("attn_v" in name or "ffn_down" in name) and layer % 2 == 0))
    kind = better if fine else most
    while dimensions[0] % GGML_QUANT_SIZES[kind][0]:
        kind = FALLBACK.get(kind, Type.F16)
    return kind


def size_of(kind: Type, dimensions: tuple[int, ...]) -> int:
    elements, size = GGML_QUANT_SIZES[kind]
    return int(np.prod(dimensions, dtype=np.int64)) // elements * size


@lru_cache(maxsize=4)
def vocabulary(count: int) -> tuple[list[bytes], list[int]]:
    """Of SentencePiece's kind: the special tokens, all bytes, and names for the rest."""
    special = [b"<unk>", b"<s>", b"</s>", b"<|endoftext|>"]
    tokens = special + [b"<0x%02X>" % byte for byte in range(256)]
    types = [TokenType.UNKNOWN] + [TokenType.CONTROL] * 3 + [TokenType.BYTE] * 256
    tokens += [b"t%d" % number for number in range(count - len(tokens))]
    types += [TokenType.NORMAL] * (count - len(types))
    return tokens[:count], types[:count]


def write(shape: Any, path: Path) -> None:
    """The file of `shape`; complete, or not there."""
    part = path.with_suffix(".part")
    writer = GGUFWriter(part, shape.arch)
    writer.add_name(shape.name)
    writer.add_file_type(FILE_TYPES[shape.quant])
    for key, value in shape.metadata().items():
        key = f"{shape.arch}.{key}"
        if isinstance(value, bool):
            writer.add_bool(key, value)
        elif isinstance(value, float):
            writer.add_float32(key, value)
        elif isinstance(value, list):
            writer.add_array(key, value)
        else:
            writer.add_uint32(key, value)
    tokens, types = vocabulary(shape.vocab)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list(tokens)
    writer.add_token_scores([0.0] * len(tokens))
    writer.add_token_types(types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    if "?token_types" in shape.keys:
        writer.add_token_type_count(shape.keys["?token_types"])
    length = 0
    for name, dimensions in tensors(shape):
        kind = type_of(name, dimensions, shape.quant)
        size = size_of(kind, dimensions)
        writer.add_tensor_info(name, dimensions[::-1], np.dtype(np.float32), size, raw_dtype=kind)
        length += GGUFWriter.ggml_pad(size, writer.data_alignment)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    writer.close()
    with part.open("r+b") as file:
        start = GGUFWriter.ggml_pad(file.seek(0, 2), writer.data_alignment)
        file.truncate(start + length)
    part.rename(path)


def file_of(shape: Any, folder: Path) -> Path:
    """The file of `shape` in `folder`, written if it is not there."""
    path = folder / f"{shape.name}.gguf"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        write(shape, path)
    return path


def chosen(names: list[str]) -> Iterator[Any]:
    """Those whose name contains one of `names`; all where there are none."""
    return (shape for shape in SHAPES if not names or any(name in shape.name for name in names))


if __name__ == "__main__":
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    for one in chosen(sys.argv[2:]):
        file = file_of(one, Path(sys.argv[1]))
        print(f"{file.stat().st_size / 2**30:8.2f} GiB  {file}")
