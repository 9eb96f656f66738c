"""The tensors of a shape, as llama.cpp's loader asks for them (load_arch_tensors, src/models).

Each function yields (name, dimensions), the dimension that lies together in memory first.
"""

from collections.abc import Iterator
from typing import Any

Tensors = Iterator[tuple[str, tuple[int, ...]]]


def heads_kv(shape: Any, layer: int) -> int:
    return shape.kv[layer] if isinstance(shape.kv, list) else shape.kv


def linear(name: str, rows: int, columns: int, bias: bool) -> Tensors:
    yield f"{name}.weight", (rows, columns)
    if bias:
        yield f"{name}.bias", (columns,)


def norm(name: str, width: int, shape: Any) -> Tensors:
    yield f"{name}.weight", (width,)
    if shape.has("norm_bias"):
        yield f"{name}.bias", (width,)


def attention(shape: Any, at: str, layer: int) -> Tensors:
    """Multi-head attention, grouped or not."""
    kv = heads_kv(shape, layer)
    query, key = shape.heads * shape.head, kv * shape.head
    asked = query * (2 if shape.has("gated_query") else 1)
    bias = shape.has("qkv_bias")
    if shape.has("fused_qkv"):
        yield from linear(f"{at}.attn_qkv", shape.width, asked + 2 * key, bias)
    else:
        yield from linear(f"{at}.attn_q", shape.width, asked, bias)
        yield from linear(f"{at}.attn_k", shape.width, key, bias)
        yield from linear(f"{at}.attn_v", shape.width, key, bias)
    yield from linear(f"{at}.attn_output", query, shape.width, shape.has("output_bias"))
    if shape.has("qk_norm"):
        yield f"{at}.attn_q_norm.weight", (shape.head,)
        yield f"{at}.attn_k_norm.weight", (shape.head,)
    if shape.has("wide_qk_norm"):
        yield f"{at}.attn_q_norm.weight", (query,)
        yield f"{at}.attn_k_norm.weight", (key,)
    if shape.has("sinks"):
        yield f"{at}.attn_sinks.weight", (shape.heads,)


def latent_attention(shape: Any, at: str) -> Tensors:
    """Multi-head latent attention (deepseek2)."""
    keys = shape.keys
    rank, rope = keys["attention.kv_lora_rank"], keys["rope.dimension_count"]
    key, value = keys["attention.key_length_mla"], keys["attention.value_length_mla"]
    queries = keys.get("attention.q_lora_rank", 0)
    yield f"{at}.attn_kv_a_norm.weight", (rank,)
    if queries:
        yield f"{at}.attn_q_a_norm.weight", (queries,)
        yield f"{at}.attn_q_a.weight", (shape.width, queries)
        yield f"{at}.attn_q_b.weight", (queries, shape.heads * key)
    else:
        yield f"{at}.attn_q.weight", (shape.width, shape.heads * key)
    yield f"{at}.attn_kv_a_mqa.weight", (shape.width, rank + rope)
    yield f"{at}.attn_k_b.weight", (key - rope, rank, shape.heads)
    yield f"{at}.attn_v_b.weight", (rank, value, shape.heads)
    yield f"{at}.attn_output.weight", (shape.heads * value, shape.width)


def mamba(shape: Any, at: str, one: bool) -> Tensors:
    """Mamba 1 (`one`) or Mamba 2."""
    keys = shape.keys
    kernel, inner, state = (keys[f"ssm.{key}"] for key in
                            ("conv_kernel", "inner_size", "state_size"))
    rank, groups = keys["ssm.time_step_rank"], keys.get("ssm.group_count", 0)
    convolved = inner + 2 * groups * state
    yield f"{at}.ssm_in.weight", (shape.width, 2 * inner if one else inner + convolved + rank)
    yield from linear(f"{at}.ssm_conv1d", kernel, convolved, True)
    if one:
        yield f"{at}.ssm_x.weight", (inner, rank + 2 * state)
        yield f"{at}.ssm_dt.weight", (rank, inner)
        yield f"{at}.ssm_dt.bias", (inner,)
        yield f"{at}.ssm_a", (state, inner)
        yield f"{at}.ssm_d", (inner,)
        if shape.has("ssm_norms"):
            yield f"{at}.ssm_dt_norm.weight", (rank,)
            yield f"{at}.ssm_b_norm.weight", (state,)
            yield f"{at}.ssm_c_norm.weight", (state,)
    else:
        yield f"{at}.ssm_dt.bias", (rank,)
        yield f"{at}.ssm_a", (1, rank)
        yield f"{at}.ssm_d", (1, rank)
        yield f"{at}.ssm_norm.weight", (inner // groups, groups)
    yield f"{at}.ssm_out.weight", (inner, shape.width)


def delta_net(shape: Any, at: str) -> Tensors:
    """Gated delta net (qwen3next, qwen35)."""
    keys = shape.keys
    state, groups, rank = (keys[f"ssm.{key}"] for key in
                           ("state_size", "group_count", "time_step_rank"))
    values = state * rank
    both = 2 * state * groups + values
    yield f"{at}.attn_qkv.weight", (shape.width, both)
    yield f"{at}.attn_gate.weight", (shape.width, values)
    yield f"{at}.ssm_conv1d.weight", (keys["ssm.conv_kernel"], both)
    yield f"{at}.ssm_dt.bias", (rank,)
    yield f"{at}.ssm_a", (rank,)
    if shape.arch == "qwen3next":
        yield f"{at}.ssm_ba.weight", (shape.width, 2 * rank)
    else:
        yield f"{at}.ssm_beta.weight", (shape.width, rank)
        yield f"{at}.ssm_alpha.weight", (shape.width, rank)
    yield f"{at}.ssm_norm.weight", (state,)
    yield f"{at}.ssm_out.weight", (values, shape.width)


def feed_forward(shape: Any, at: str, layer: int) -> Tensors:
    """Dense, or experts with a shared one."""
    width, bias = shape.width, shape.has("ffn_bias")
    if not shape.is_moe(layer):
        ff = shape.ff[layer] if isinstance(shape.ff, list) else shape.ff
        if shape.has("fused_gate"):
            yield f"{at}.ffn_up.weight", (width, 2 * ff)
        else:
            if not shape.has("no_gate"):
                yield from linear(f"{at}.ffn_gate", width, ff, bias)
            yield from linear(f"{at}.ffn_up", width, ff, bias)
        yield from linear(f"{at}.ffn_down", ff, width, bias)
        return
    experts, ff = shape.experts, shape.expert_ff
    yield from linear(f"{at}.ffn_gate_inp", width, experts, bias)
    for name, rows, columns in (("gate", width, ff), ("up", width, ff), ("down", ff, width)):
        yield f"{at}.ffn_{name}_exps.weight", (rows, columns, experts)
        if bias:
            yield f"{at}.ffn_{name}_exps.bias", (columns, experts)
    if shape.has("router_bias"):
        yield f"{at}.exp_probs_b.bias", (experts,)
    if shape.has("shared_gate"):
        yield f"{at}.ffn_gate_inp_shexp.weight", (width,)
    if shape.shared_ff:
        yield f"{at}.ffn_gate_shexp.weight", (width, shape.shared_ff)
        yield f"{at}.ffn_up_shexp.weight", (width, shape.shared_ff)
        yield f"{at}.ffn_down_shexp.weight", (shape.shared_ff, width)


def rwkv7(shape: Any, at: str, layer: int) -> Tensors:
    width, ff = shape.width, shape.ff
    ranks = {name: shape.keys[f"attention.{key}_lora_rank"] for name, key in
             (("w", "decay"), ("a", "iclr"), ("v", "value_residual_mix"), ("g", "gate"))}
    if layer == 0:
        ranks["v"] = ranks["a"]
    for name in ("attn_norm", "attn_norm_2", "time_mix_ln"):
        yield f"{at}.{name}.weight", (width,)
        yield f"{at}.{name}.bias", (width,)
    for name, rank in ranks.items():
        if name != "g":
            yield f"{at}.time_mix_{name}0.weight", (width,)
        yield f"{at}.time_mix_{name}1.weight", (width, rank)
        yield f"{at}.time_mix_{name}2.weight", (rank, width)
    yield f"{at}.time_mix_lerp_fused.weight", (width, 1, 1, 6)
    for name in ("k_k", "k_a", "r_k"):
        yield f"{at}.time_mix_{name}.weight", (width,)
    for name in ("key", "value", "receptance", "output"):
        yield f"{at}.time_mix_{name}.weight", (width, width)
    yield f"{at}.channel_mix_lerp_k.weight", (width, 1, 1)
    yield f"{at}.channel_mix_key.weight", (width, ff)
    yield f"{at}.channel_mix_value.weight", (ff, width)


def encoder_layer(shape: Any, at: str, layer: int) -> Tensors:
    """BERT and its kin: norms after attention and feed-forward."""
    yield from attention(shape, at, layer)
    yield from norm(f"{at}.attn_output_norm", shape.width, shape)
    yield from feed_forward(shape, at, layer)
    yield from norm(f"{at}.layer_output_norm", shape.width, shape)


def decoder_layer(shape: Any, at: str, layer: int) -> Tensors:
    width, kind = shape.width, shape.kind(layer)
    yield from norm(f"{at}.attn_norm", width, shape)
    if shape.has("second_norm"):
        yield from norm(f"{at}.attn_norm_2", width, shape)
    if kind == "latent":
        yield from latent_attention(shape, at)
    if kind in ("attention", "beside"):
        yield from attention(shape, at, layer)
    if kind in ("mamba1", "mamba2", "beside"):
        yield from mamba(shape, at, kind == "mamba1")
    if kind == "delta":
        yield from delta_net(shape, at)
    if kind == "short_conv":
        yield f"{at}.shortconv.conv.weight", (shape.keys["shortconv.l_cache"], width)
        yield f"{at}.shortconv.in_proj.weight", (width, 3 * width)
        yield f"{at}.shortconv.out_proj.weight", (width, width)
    if shape.has("post_attention_norm"):
        yield f"{at}.post_attention_norm.weight", (width,)
    if shape.has("no_ffn") or (shape.has("idle_layers") and kind != "idle"):
        return
    if not shape.has("no_ffn_norm"):
        suffix = "" if shape.has("bare_ffn_norm") else ".weight"
        yield f"{at}.ffn_norm{suffix}", (width,)
        if shape.has("norm_bias"):
            yield f"{at}.ffn_norm.bias", (width,)
    yield from feed_forward(shape, at, layer)
    if shape.has("post_ffn_norm"):
        yield f"{at}.post_ffw_norm.weight", (width,)


def tensors(shape: Any) -> Tensors:
    """All of them, in the order of a converted file."""
    width = shape.width
    yield "token_embd.weight", (width, shape.vocab)
    if shape.has("token_types"):
        yield "token_types.weight", (width, shape.keys["?token_types"])
    if shape.has("positions"):
        yield "position_embd.weight", (width, shape.context)
    if shape.has("embedding_norm"):
        yield "token_embd_norm.weight", (width,)
        yield "token_embd_norm.bias", (width,)
    if not shape.has("encoder"):
        # Before the layers: those at the end that are not loaded are then not mapped either.
        # lfm2's final norm has the name of another.
        yield from norm("token_embd_norm" if shape.arch == "lfm2" else "output_norm", width, shape)
        if not shape.tied:
            yield "output.weight", (width, shape.vocab)
    for layer in range(shape.layers):
        at = f"blk.{layer}"
        if shape.has("encoder"):
            yield from encoder_layer(shape, at, layer)
        elif shape.arch == "rwkv7":
            yield from rwkv7(shape, at, layer)
        else:
            yield from decoder_layer(shape, at, layer)
        if layer >= shape.layers - shape.keys.get("nextn_predict_layers", 0):
            yield f"{at}.nextn.eh_proj.weight", (2 * width, width)
            yield f"{at}.nextn.enorm.weight", (width,)
            yield f"{at}.nextn.hnorm.weight", (width,)
            yield f"{at}.nextn.embed_tokens.weight", (width, shape.vocab)
            yield f"{at}.nextn.shared_head_head.weight", (width, shape.vocab)
            yield f"{at}.nextn.shared_head_norm.weight", (width,)
    if shape.has("encoder"):
        if shape.has("classifier"):
            yield from linear("cls", width, width, True)
            yield from linear("cls.output", width, 1, True)
    elif shape.has("classifier"):
        yield "cls.output.weight", (width, 2)
