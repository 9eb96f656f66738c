"""Tiny models of random weights in Hugging Face's layout, one for each way to keep a cache.

    python models.py FOLDER        makes those that FOLDER lacks; run with vLLM's environment
"""

import shutil
import sys
from pathlib import Path

COMMON = {
    "vocab_size": 512, "hidden_size": 128, "intermediate_size": 256, "num_hidden_layers": 4,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 4096,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "tie_word_embeddings": False,
}
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 128}
DEEPSEEK = {
    "num_key_value_heads": 4, "kv_lora_rank": 512, "qk_rope_head_dim": 64, "qk_nope_head_dim": 128,
    "v_head_dim": 128, "n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2,
    "moe_intermediate_size": 128, "first_k_dense_replace": 1,
}
GEMMA = {"head_dim": 32, "tie_word_embeddings": True}
DELTA_NET = {
    "head_dim": 32, "num_hidden_layers": 8, "linear_num_key_heads": 2, "linear_num_value_heads": 4,
    "linear_key_head_dim": 32, "linear_value_head_dim": 32,
}
MAMBA2 = {"mamba_n_heads": 8, "mamba_d_head": 32, "mamba_d_state": 64, "mamba_n_groups": 1}
# Heads of 32 elements at least: vLLM's kernels for the CPU know no smaller ones.
MODELS = {
    "mha": ("llama", {"num_key_value_heads": 4}),
    "gqa": ("llama", {}),
    "mqa": ("llama", {"num_key_value_heads": 1, "num_hidden_layers": 5}),
    "wide-heads": ("qwen3", {"head_dim": 64}),
    "moe": ("mixtral", {"num_local_experts": 4}),
    "moe-qwen3": ("qwen3_moe", {"head_dim": 32, **EXPERTS}),
    "mla-v2": ("deepseek_v2", {**DEEPSEEK, "q_lora_rank": None, "head_dim": 64}),
    "mla-v3": ("deepseek_v3", {**DEEPSEEK, "q_lora_rank": 128, "n_group": 1, "topk_group": 1,
                               "topk_method": "noaux_tc"}),
    "window": ("mistral", {"sliding_window": 256}),
    "window-phi3": ("phi3", {"sliding_window": 100}),
    "window-1-1": ("gemma2", {**GEMMA, "sliding_window": 256, "num_hidden_layers": 6}),
    "window-5-1": ("gemma3_text", {**GEMMA, "sliding_window": 128, "num_hidden_layers": 8}),
    "window-12-2": ("gemma3_text", {**GEMMA, "sliding_window": 128, "num_hidden_layers": 14}),
    "window-uneven": ("gemma3_text", {**GEMMA, "sliding_window": 200, "num_hidden_layers": 15}),
    "window-3-1": ("olmo3", {"sliding_window": 128, "num_hidden_layers": 8}),
    "window-cohere2": ("cohere2", {"sliding_window": 129, "num_hidden_layers": 8,
                                   "tie_word_embeddings": True}),
    "window-and-sinks": ("gpt_oss", {"sliding_window": 128, "head_dim": 32, "num_local_experts": 4,
                                     "num_experts_per_tok": 2, "num_hidden_layers": 5}),
    "window-4-3": ("gpt_oss", {"sliding_window": 128, "head_dim": 32, "num_local_experts": 4,
                               "num_experts_per_tok": 2, "num_hidden_layers": 7}),
    "two-head-lengths": ("gemma4_text", {**GEMMA, "sliding_window": 128, "global_head_dim": 64,
                                         "num_hidden_layers": 12, "hidden_size_per_layer_input": 0,
                                         "num_kv_shared_layers": 0}),
    "chunks": ("llama4_text", {"head_dim": 32, "attention_chunk_size": 256, "num_hidden_layers": 8,
                               "num_local_experts": 2, "num_experts_per_tok": 1,
                               "intermediate_size_mlp": 256, "interleave_moe_layer_step": 2}),
    "mamba": ("mamba", {"state_size": 16}),
    "mamba2": ("mamba2", {"num_heads": 8, "head_dim": 32, "state_size": 32, "n_groups": 2}),
    "hybrid-jamba": ("jamba", {"num_hidden_layers": 8, "attn_layer_period": 4,
                               "attn_layer_offset": 2, "num_experts": 2, "num_experts_per_tok": 1,
                               "mamba_d_state": 16, "mamba_dt_rank": 8}),
    "hybrid-granite": ("granitemoehybrid", {
        **MAMBA2, "num_hidden_layers": 6, "num_local_experts": 2, "num_experts_per_tok": 1,
        "shared_intermediate_size": 128,
        "layer_types": ["mamba", "mamba", "attention", "mamba", "mamba", "attention"]}),
    "hybrid-nemotron": ("nemotron_h", {
        "hybrid_override_pattern": "M-M*M-M*", "num_hidden_layers": 8, "head_dim": 32,
        "mamba_num_heads": 8, "mamba_head_dim": 32, "ssm_state_size": 32, "n_groups": 2}),
    "hybrid-falcon": ("falcon_h1", {**MAMBA2, "mamba_d_ssm": 256, "head_dim": 32}),
    "delta-net": ("qwen3_next", {**DELTA_NET, **EXPERTS, "shared_expert_intermediate_size": 128}),
    "delta-net-wide": ("qwen3_5_text", {**DELTA_NET, "linear_num_value_heads": 8,
                                        "linear_value_head_dim": 64, "mamba_ssm_dtype": "float32"}),
    "short-convolution": ("lfm2", {
        "num_hidden_layers": 6, "conv_dim": 128, "block_dim": 128, "block_multiple_of": 32,
        "block_ffn_dim_multiplier": 1.0, "block_auto_adjust_ff_dim": False,
        "layer_types": ["conv", "conv", "full_attention", "conv", "conv", "full_attention"]}),
    "no-cache": ("bert", {"max_position_embeddings": 256}),
}
# Of these their classes have names of their own, or none.
FOREIGN = {
    "mamba": ["num_attention_heads", "num_key_value_heads", "intermediate_size",
              "max_position_embeddings"],
    "mamba2": ["num_attention_heads", "num_key_value_heads", "intermediate_size",
               "max_position_embeddings"],
    "bert": ["num_key_value_heads"],
}
# With states, whose width vLLM makes depend on the processor.
RECURRENT = {name for name, (kind, _) in MODELS.items()
             if name.startswith(("mamba", "hybrid", "delta-net"))}


def save_tokenizer(folder: Path) -> None:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    words = ["<pad>", "<s>", "</s>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    tokenizer = Tokenizer(models.BPE(vocab={word: i for i, word in enumerate(words)}, merges=[]))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>",
                            pad_token="<pad>").save_pretrained(folder)


def save_model(name: str, folder: Path) -> None:
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

    kind, own = MODELS[name]
    keys = {key: value for key, value in COMMON.items() if key not in FOREIGN.get(kind, [])}
    config = AutoConfig.for_model(kind, **(keys | own))
    made = folder.with_name(f".{name}")
    shutil.rmtree(made, ignore_errors=True)
    auto = AutoModel if kind == "bert" else AutoModelForCausalLM
    torch.manual_seed(0)
    auto.from_config(config).to(torch.bfloat16).save_pretrained(made)
    save_tokenizer(made)
    made.rename(folder)


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name in MODELS:
        if not (folder / name).exists():
            save_model(name, folder / name)


if __name__ == "__main__":
    main()
