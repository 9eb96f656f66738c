"""Writes a BERT of 160 KB with random weights, as GGUF: one that embeds texts, or one that scores a text for a query.

    python3 tiny_bert.py OUT.gguf embedding|reranker

It spells texts by letter, reads 512 tokens at most and has 2 layers. The same versions of gguf and numpy give the
same file.
"""

from __future__ import annotations

import sys
from pathlib import Path

import gguf
import numpy as np

WIDTH = 32
FEED_FORWARD = 2 * WIDTH
LAYERS = 2
HEADS = 2
CONTEXT = 512
SPECIAL = "[PAD] [UNK] [CLS] [SEP] [MASK]".split()
WORDS = "hello world sea water stone".split()
POOLING = {"embedding": gguf.PoolingType.MEAN, "reranker": gguf.PoolingType.RANK}
WORD_START = "▁"  # GGUF marks the beginnings of words, where the vocabularies of BERT mark what follows


def vocabulary() -> list[str]:
    letters = [chr(code) for code in range(ord("!"), ord("~") + 1) if not chr(code).isupper()]
    return SPECIAL + [WORD_START + letter for letter in letters] + letters + [WORD_START + word for word in WORDS]


def add_tokenizer(writer: gguf.GGUFWriter, tokens: list[str]) -> None:
    """A WordPiece vocabulary that has `SPECIAL`, as llama.cpp wants it."""
    kinds = [gguf.TokenType.CONTROL if token in SPECIAL else gguf.TokenType.NORMAL for token in tokens]
    writer.add_tokenizer_model("bert")
    writer.add_token_list([token.encode() for token in tokens])
    writer.add_token_types([int(kind) for kind in kinds])
    writer.add_token_type_count(2)
    writer.add_bos_token_id(tokens.index("[CLS]"))
    writer.add_eos_token_id(tokens.index("[SEP]"))
    writer.add_unk_token_id(tokens.index("[UNK]"))
    writer.add_sep_token_id(tokens.index("[SEP]"))
    writer.add_pad_token_id(tokens.index("[PAD]"))
    writer.add_mask_token_id(tokens.index("[MASK]"))
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(True)


def _add_metadata(writer: gguf.GGUFWriter, kind: str, tokens: list[str]) -> None:
    writer.add_name(f"tiny-random-{kind}")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(FEED_FORWARD)
    writer.add_head_count(HEADS)
    writer.add_layer_norm_eps(1e-12)
    writer.add_causal_attention(False)
    writer.add_vocab_size(len(tokens))
    writer.add_pooling_type(POOLING[kind])
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    if kind == "reranker":
        writer.add_array("bert.classifier.output_labels", ["LABEL_0"])
    add_tokenizer(writer, tokens)


def _add_tensors(writer: gguf.GGUFWriter, kind: str, tokens: int) -> None:
    generator = np.random.default_rng(2)

    def random(name: str, *shape: int) -> None:
        writer.add_tensor(name + ".weight", (generator.standard_normal(shape) * 0.2).astype(np.float32))

    def linear(name: str, into: int, out: int) -> None:
        random(name, out, into)
        writer.add_tensor(name + ".bias", np.zeros(out, np.float32))

    def norm(name: str) -> None:
        writer.add_tensor(name + ".weight", np.ones(WIDTH, np.float32))
        writer.add_tensor(name + ".bias", np.zeros(WIDTH, np.float32))

    random("token_embd", tokens, WIDTH)
    random("token_types", 2, WIDTH)
    random("position_embd", CONTEXT, WIDTH)
    norm("token_embd_norm")
    for layer in range(LAYERS):
        block = f"blk.{layer}."
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            linear(block + name, WIDTH, WIDTH)
        norm(block + "attn_output_norm")
        norm(block + "layer_output_norm")
        linear(block + "ffn_up", WIDTH, FEED_FORWARD)
        linear(block + "ffn_down", FEED_FORWARD, WIDTH)
    if kind == "reranker":
        linear("cls", WIDTH, WIDTH)
        linear("cls.output", WIDTH, 1)


def write(path: Path, kind: str) -> None:
    """Writes the model to `path`, replacing what is there."""
    tokens = vocabulary()
    writer = gguf.GGUFWriter(path, "bert")
    _add_metadata(writer, kind, tokens)
    _add_tensors(writer, kind, len(tokens))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    if len(sys.argv) != 3 or sys.argv[2] not in POOLING:
        sys.exit("usage: tiny_bert.py OUT.gguf embedding|reranker")
    write(Path(sys.argv[1]), sys.argv[2])
