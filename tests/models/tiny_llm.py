"""Writes a Llama model of 230 KB with random weights, as GGUF: real to an engine, nonsense to a reader.

    python3 tiny_llm.py OUT.gguf

It has a vocabulary of bytes and a few words, a context of 2048 tokens, 2 layers and a ChatML template. The same
versions of gguf and numpy give the same file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import gguf
import numpy as np

WIDTH = 64
FEED_FORWARD = 2 * WIDTH
LAYERS = 2
HEADS = 4
KV_HEADS = 2
CONTEXT = 2048
KV_WIDTH = WIDTH // HEADS * KV_HEADS
WORDS = "▁ ▁the ▁a ▁of ▁and ▁to ▁in ▁is ▁sea ▁hello ▁world e t a o n i s r h l d u".split()
CHAT_TEMPLATE = (
    "{% for m in messages %}<|im_start|>{{m['role']}}\n{{m['content']}}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def _vocabulary() -> list[tuple[str, gguf.TokenType, float]]:
    """Token, type and score. Every text can be spelled, as each byte is a token."""
    kind = gguf.TokenType
    tokens = [("<unk>", kind.UNKNOWN, 0.0), ("<s>", kind.CONTROL, 0.0), ("</s>", kind.CONTROL, 0.0)]
    tokens += [(f"<0x{byte:02X}>", kind.BYTE, 0.0) for byte in range(256)]
    tokens += [(word, kind.NORMAL, -float(rank)) for rank, word in enumerate(WORDS, start=1)]
    tokens += [("<|im_start|>", kind.CONTROL, 0.0), ("<|im_end|>", kind.CONTROL, 0.0)]
    return tokens


def _add_metadata(writer: gguf.GGUFWriter, tokens: list[tuple[str, gguf.TokenType, float]]) -> None:
    writer.add_name("tiny-random-llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_F16)
    writer.add_tokenizer_model("llama")
    writer.add_token_list([text.encode() for text, _, _ in tokens])
    writer.add_token_scores([score for _, _, score in tokens])
    writer.add_token_types([int(kind) for _, kind, _ in tokens])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(len(tokens) - 1)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    writer.add_chat_template(CHAT_TEMPLATE)


def _add_tensors(writer: gguf.GGUFWriter, vocabulary: int) -> None:
    generator = np.random.default_rng(0)

    def random(name: str, *shape: int, spread: float = 0.05) -> None:
        values = generator.standard_normal(shape) * spread
        writer.add_tensor(name + ".weight", values.astype(np.float16))

    def ones(name: str) -> None:
        writer.add_tensor(name + ".weight", np.ones(WIDTH, np.float32))

    random("token_embd", vocabulary, WIDTH)
    random("output", vocabulary, WIDTH, spread=0.3)
    ones("output_norm")
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        ones(block + "attn_norm")
        ones(block + "ffn_norm")
        random(block + "attn_q", WIDTH, WIDTH)
        random(block + "attn_k", KV_WIDTH, WIDTH)
        random(block + "attn_v", KV_WIDTH, WIDTH)
        random(block + "attn_output", WIDTH, WIDTH)
        random(block + "ffn_gate", FEED_FORWARD, WIDTH)
        random(block + "ffn_up", FEED_FORWARD, WIDTH)
        random(block + "ffn_down", WIDTH, FEED_FORWARD)


def write(path: Path, tensors_of_a_part: int = 0) -> None:
    """Writes the model to `path`, replacing what is there; or to parts that are named after it."""
    tokens = _vocabulary()
    writer = gguf.GGUFWriter(path, "llama", split_max_tensors=tensors_of_a_part)
    _add_metadata(writer, tokens)
    _add_tensors(writer, len(tokens))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: tiny_llm.py OUT.gguf")
    write(Path(sys.argv[1]))
