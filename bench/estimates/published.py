"""Dimensions of published models, as their configurations have them."""

from dataclasses import dataclass, field
from typing import Any

# Layers that Nemotron-H and LFM2 give to attention, feed-forward and the rest.
NEMOTRON_8B = "M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M*-M-M-M-M-M-"


@dataclass(frozen=True)
class Shape:
    name: str
    arch: str
    layers: int
    width: int
    ff: int | list[int]
    heads: int
    kv: int | list[int]  # a list: one number a layer, 0 where it does not attend
    vocab: int
    head: int = 0  # elements; 0 is width / heads
    context: int = 32768
    quant: str = "Q4_K_M"
    tied: bool = False
    experts: int = 0
    used: int = 0
    expert_ff: int = 0
    shared_ff: int = 0
    dense_lead: int = 0  # the first layers have no experts
    features: str = ""
    other: str = "attention"  # what layers are whose kv is 0, or all by the architecture
    keys: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.head == 0 and self.heads:
            object.__setattr__(self, "head", self.width // self.heads)

    def has(self, feature: str) -> bool:
        return feature in self.features.split()

    @property
    def pooling(self) -> str:
        """How embeddings are pooled; empty for a language model."""
        return ("", "mean", "cls", "last", "rank")[self.keys.get("pooling_type", 0)]

    def is_moe(self, layer: int) -> bool:
        """Jamba has experts in every other layer only."""
        return (self.experts > 0 and layer >= self.dense_lead and
                (self.arch != "jamba" or layer % 2 == 1))

    def kind(self, layer: int) -> str:
        if isinstance(self.kv, list):
            if self.kv[layer] != 0:
                return "attention"
            idle = isinstance(self.ff, list) and self.ff[layer] != 0 and self.has("idle_layers")
            return "idle" if idle else self.other
        if self.other == "delta":
            return "attention" if layer % 4 == 3 else "delta"
        return self.other

    def metadata(self) -> dict[str, Any]:
        out = {"block_count": self.layers, "context_length": self.context,
               "embedding_length": self.width, "feed_forward_length": self.ff,
               "attention.head_count": self.heads, "attention.head_count_kv": self.kv,
               "attention.layer_norm_rms_epsilon": 1e-6, "attention.layer_norm_epsilon": 1e-5}
        if self.head and self.other != "latent":
            out |= {"attention.key_length": self.head, "attention.value_length": self.head}
        if self.experts:
            out |= {"expert_count": self.experts, "expert_used_count": self.used,
                    "expert_feed_forward_length": self.expert_ff}
        if self.shared_ff:
            out["expert_shared_feed_forward_length"] = self.shared_ff
        if self.dense_lead:
            out["leading_dense_block_count"] = self.dense_lead
        return out | {key: value for key, value in self.keys.items() if key[0] != "?"}


def some(layers: int, value: int, attending: list[int]) -> list[int]:
    return [value if layer in attending else 0 for layer in range(layers)]


def qwen2(name: str, *dimensions: int, **more: Any) -> Shape:
    return Shape(name, "qwen2", *dimensions, features="qkv_bias", **more)


def qwen3(name: str, *dimensions: int, features: str = "", **more: Any) -> Shape:
    return Shape(name, "qwen3", *dimensions, head=128, features=f"qk_norm {features}", **more)


def gemma(name: str, arch: str, *dimensions: int, window: int, **more: Any) -> Shape:
    norm = "" if arch == "gemma2" else "qk_norm"
    keys = {"attention.sliding_window": window} | more.pop("keys", {})
    return Shape(name, arch, *dimensions, tied=True, keys=keys,
                 features=f"post_attention_norm post_ffn_norm {norm}", **more)


def bert(name: str, arch: str, *dimensions: int, types: int, features: str = "",
         **more: Any) -> Shape:
    keys = {"attention.causal": False, "?token_types": types} | more.pop("keys", {})
    return Shape(name, arch, *dimensions, keys=keys, features=f"encoder norm_bias token_types "
                 f"embedding_norm output_bias {features}", **more)


def ssm(inner: int, state: int, rank: int, groups: int = 0) -> dict[str, Any]:
    keys = {"ssm.conv_kernel": 4, "ssm.inner_size": inner, "ssm.state_size": state,
            "ssm.time_step_rank": rank}
    return keys | ({"ssm.group_count": groups} if groups else {})


def latent(queries: int = 0) -> dict[str, Any]:
    keys = {"attention.kv_lora_rank": 512, "attention.key_length_mla": 192,
            "attention.value_length_mla": 128, "attention.key_length": 576,
            "attention.value_length": 512, "rope.dimension_count": 64}
    return keys | ({"attention.q_lora_rank": queries} if queries else {})


# Positional: layers, width, feed-forward, heads, KV heads, vocabulary.
SHAPES = (
    # Dense: multi-head, grouped, one KV head; heads of their own or tied.
    Shape("llama-2-7b", "llama", 32, 4096, 11008, 32, 32, 32000, context=4096, quant="Q4_0"),
    Shape("tinyllama-1.1b", "llama", 22, 2048, 5632, 32, 4, 32000, context=2048, quant="F16"),
    Shape("smollm2-135m", "llama", 30, 576, 1536, 9, 3, 49152, context=8192, quant="F16",
          tied=True),
    Shape("llama-3.2-1b", "llama", 16, 2048, 8192, 32, 8, 128256, context=131072, tied=True),
    Shape("llama-3.2-3b", "llama", 28, 3072, 8192, 24, 8, 128256, context=131072, tied=True,
          quant="Q8_0"),
    Shape("llama-3.1-8b", "llama", 32, 4096, 14336, 32, 8, 128256, context=131072),
    Shape("llama-3.3-70b", "llama", 80, 8192, 28672, 64, 8, 128256, context=131072),
    Shape("llama-3.1-405b", "llama", 126, 16384, 53248, 128, 8, 128256, context=131072),
    qwen2("qwen2.5-0.5b", 24, 896, 4864, 14, 2, 151936, tied=True, quant="Q8_0"),
    qwen2("qwen2.5-7b", 28, 3584, 18944, 28, 4, 152064),
    qwen2("qwen2.5-32b", 64, 5120, 27648, 40, 8, 152064, quant="Q5_K_M"),
    qwen3("qwen3-0.6b", 28, 1024, 3072, 16, 8, 151936, tied=True, quant="BF16", context=40960),
    qwen3("qwen3-8b", 36, 4096, 12288, 32, 8, 151936, context=40960),
    qwen3("qwen3-32b", 64, 5120, 25600, 64, 8, 151936, context=40960),
    Shape("phi-3-mini", "phi3", 32, 3072, 8192, 32, 32, 32064, context=4096, quant="Q4_0",
          features="fused_qkv fused_gate", keys={"attention.sliding_window": 2047}),
    Shape("phi-4", "phi3", 40, 5120, 17920, 40, 10, 100352, context=16384,
          features="fused_qkv fused_gate"),
    Shape("falcon-7b", "falcon", 32, 4544, 18176, 71, 1, 65024, context=2048, quant="Q8_0",
          features="fused_qkv norm_bias no_gate no_ffn_norm"),
    Shape("falcon-40b", "falcon", 60, 8192, 32768, 128, 8, 65024, context=2048, quant="Q4_0",
          features="fused_qkv norm_bias no_gate no_ffn_norm second_norm"),
    Shape("starcoder2-3b", "starcoder2", 30, 3072, 12288, 24, 2, 49152, context=16384,
          quant="Q8_0", tied=True, features="norm_bias qkv_bias output_bias ffn_bias no_gate"),
    Shape("command-r-35b", "command-r", 40, 8192, 22528, 64, 64, 256000, context=131072, tied=True,
          features="no_ffn_norm", keys={"logit_scale": 0.0625}),
    Shape("mistral-nemo-12b", "llama", 40, 5120, 14336, 32, 8, 131072, head=128, context=131072,
          quant="IQ4_XS"),
    Shape("mistral-small-24b", "llama", 40, 5120, 32768, 32, 8, 131072, head=128,
          quant="Q3_K_M"),
    # Sliding windows. Mistral 7B's file has one that the engine leaves alone.
    Shape("mistral-7b", "llama", 32, 4096, 14336, 32, 8, 32000, quant="Q4_0",
          keys={"attention.sliding_window": 4096}),
    gemma("gemma-2-2b", "gemma2", 26, 2304, 9216, 8, 4, 256000, head=256, context=8192,
          window=4096),
    gemma("gemma-2-9b", "gemma2", 42, 3584, 14336, 16, 8, 256000, head=256, context=8192,
          window=4096, quant="Q8_0"),
    gemma("gemma-2-27b", "gemma2", 46, 4608, 36864, 32, 16, 256000, head=128, context=8192,
          window=4096),
    gemma("gemma-3-270m", "gemma3", 18, 640, 2048, 4, 1, 262144, head=256, window=512),
    gemma("gemma-3-1b", "gemma3", 26, 1152, 6912, 4, 1, 262144, head=256, window=512, quant="F16"),
    gemma("gemma-3-4b", "gemma3", 34, 2560, 10240, 8, 4, 262208, head=256, window=1024,
          context=131072),
    gemma("gemma-3-12b", "gemma3", 48, 3840, 15360, 16, 8, 262208, head=256, window=1024,
          context=131072),
    gemma("gemma-3-27b", "gemma3", 62, 5376, 21504, 32, 16, 262208, head=128, window=1024,
          context=131072),
    Shape("command-r7b", "cohere2", 32, 4096, 14336, 32, 8, 256000, context=8192, tied=True,
          features="no_ffn_norm", keys={"attention.sliding_window": 4096, "logit_scale": 0.25}),
    Shape("gpt-oss-20b", "gpt-oss", 24, 2880, 2880, 64, 8, 201088, head=64, context=131072,
          quant="MXFP4", experts=32, used=4, expert_ff=2880,
          features="qkv_bias output_bias ffn_bias sinks post_attention_norm no_ffn_norm",
          keys={"attention.sliding_window": 128, "rope.dimension_count": 64}),
    Shape("gpt-oss-120b", "gpt-oss", 36, 2880, 2880, 64, 8, 201088, head=64, context=131072,
          quant="MXFP4", experts=128, used=4, expert_ff=2880,
          features="qkv_bias output_bias ffn_bias sinks post_attention_norm no_ffn_norm",
          keys={"attention.sliding_window": 128, "rope.dimension_count": 64}),
    # Latent attention.
    Shape("deepseek-v2-lite", "deepseek2", 27, 2048, 10944, 16, 1, 102400, context=163840,
          other="latent", experts=64, used=6, expert_ff=1408, shared_ff=2816, dense_lead=1,
          keys=latent() | {"expert_shared_count": 2}),
    Shape("deepseek-v3", "deepseek2", 61, 7168, 18432, 128, 1, 129280, context=163840,
          other="latent", experts=256, used=8, expert_ff=2048, shared_ff=2048, dense_lead=3,
          features="router_bias",
          keys=latent(1536) | {"expert_shared_count": 1, "expert_gating_func": 2}),
    # Experts.
    Shape("mixtral-8x7b", "llama", 32, 4096, 14336, 32, 8, 32000, experts=8, used=2,
          expert_ff=14336),
    Shape("mixtral-8x22b", "llama", 56, 6144, 16384, 48, 8, 32000, context=65536, experts=8,
          used=2, expert_ff=16384, quant="Q4_0"),
    Shape("qwen3-30b-a3b", "qwen3moe", 48, 2048, 6144, 32, 4, 151936, head=128, context=40960,
          features="qk_norm", experts=128, used=8, expert_ff=768),
    Shape("olmoe-1b-7b", "olmoe", 16, 2048, 1024, 16, 16, 50304, context=4096, quant="Q8_0",
          features="wide_qk_norm", experts=64, used=8, expert_ff=1024),
    Shape("glm-4.5-air", "glm4moe", 47, 4096, 10944, 96, 8, 151552, head=128, context=131072,
          features="qkv_bias post_attention_norm no_ffn_norm router_bias", experts=128, used=8,
          expert_ff=1408, shared_ff=1408, dense_lead=1,
          keys={"expert_shared_count": 1, "nextn_predict_layers": 1}),
    # Recurrent, alone and between or beside attention.
    Shape("mamba-2.8b", "mamba", 64, 2560, 0, 0, 0, 50280, context=1048576, tied=True,
          other="mamba1", features="no_ffn", keys=ssm(5120, 16, 160)),
    Shape("mamba2-2.7b", "mamba2", 64, 2560, 0, 0, 0, 50288, context=1048576, tied=True,
          other="mamba2", features="no_ffn", keys=ssm(5120, 128, 80, 1), quant="Q8_0"),
    Shape("mamba-codestral-7b", "mamba2", 64, 4096, 0, 0, 0, 32768, context=1048576,
          other="mamba2", features="no_ffn", keys=ssm(8192, 128, 128, 8)),
    Shape("falcon-h1-0.5b", "falcon-h1", 36, 1024, 2048, 8, 2, 32784, head=64, context=16384,
          other="beside", features="bare_ffn_norm", keys=ssm(1536, 128, 24, 1), quant="Q8_0"),
    Shape("falcon-h1-7b", "falcon-h1", 44, 3072, 12288, 12, 2, 130048, head=128, context=262144,
          other="beside", features="bare_ffn_norm", keys=ssm(3072, 256, 24, 1)),
    Shape("granite-4.0-h-tiny", "granitehybrid", 40, 1536, 512, 12,
          some(40, 4, [5, 15, 25, 35]), 100352, context=131072, tied=True, other="mamba2",
          experts=64, used=6, expert_ff=512, shared_ff=1024, keys=ssm(3072, 128, 48, 1)),
    Shape("granite-4.0-h-small", "granitehybrid", 40, 4096, 768, 32,
          some(40, 8, [5, 15, 25, 35]), 100352, context=131072, tied=True, other="mamba2",
          experts=72, used=10, expert_ff=768, shared_ff=1536, keys=ssm(8192, 128, 128, 1)),
    Shape("jamba-mini-1.6", "jamba", 32, 4096, 14336, 32, some(32, 8, [4, 12, 20, 28]), 65536,
          context=262144, other="mamba1", features="ssm_norms", experts=16, used=2,
          expert_ff=14336, keys=ssm(8192, 16, 256)),
    Shape("nemotron-h-8b", "nemotron_h", 52, 4096,
          [21504 if kind == "-" else 0 for kind in NEMOTRON_8B], 32,
          [8 if kind == "*" else 0 for kind in NEMOTRON_8B], 131072, head=128, context=8192,
          other="mamba2", features="idle_layers no_gate no_ffn_norm",
          keys=ssm(8192, 128, 128, 8)),
    Shape("lfm2-1.2b", "lfm2", 16, 2048, 8192, 32, some(16, 8, [2, 5, 8, 10, 12, 14]), 65536,
          context=128000, tied=True, other="short_conv", features="qk_norm",
          keys={"shortconv.l_cache": 3}),
    Shape("qwen3-next-80b-a3b", "qwen3next", 48, 2048, 5120, 16, 2, 151936, head=256,
          context=262144, other="delta",
          features="qk_norm gated_query post_attention_norm no_ffn_norm shared_gate", experts=512,
          used=10, expert_ff=512, shared_ff=512, keys=ssm(4096, 128, 32, 16)),
    Shape("qwen3.5-9b", "qwen35", 32, 4096, 12288, 16, 4, 248320, head=256, context=262144,
          other="delta", features="qk_norm gated_query post_attention_norm no_ffn_norm",
          keys=ssm(4096, 128, 32, 16) | {"rope.dimension_sections": [11, 11, 10, 0],
                                         "rope.dimension_count": 64}),
    Shape("rwkv7-2.9b", "rwkv7", 32, 2560, 10240, 0, 0, 65536, context=1048576,
          features="norm_bias embedding_norm", quant="Q8_0",
          keys={"wkv.head_size": 64, "attention.decay_lora_rank": 96,
                "attention.iclr_lora_rank": 96, "attention.value_residual_mix_lora_rank": 64,
                "attention.gate_lora_rank": 320}),
    # Encoders, embeddings and rerankers.
    bert("bge-small-en", "bert", 12, 384, 1536, 12, 12, 30522, types=2, context=512, quant="F16",
         features="qkv_bias ffn_bias no_gate positions", keys={"pooling_type": 2}),
    bert("bge-m3", "bert", 24, 1024, 4096, 16, 16, 250002, types=1, context=8192, quant="Q8_0",
         features="qkv_bias ffn_bias no_gate positions", keys={"pooling_type": 2}),
    bert("bge-reranker-v2-m3", "bert", 24, 1024, 4096, 16, 16, 250002, types=1, context=8192,
         features="qkv_bias ffn_bias no_gate positions classifier", quant="Q8_0",
         keys={"pooling_type": 4}),
    bert("nomic-embed-text-v1.5", "nomic-bert", 12, 768, 3072, 12, 12, 30522, types=2,
         context=2048, features="fused_qkv", keys={"pooling_type": 1}),
    gemma("embeddinggemma-300m", "gemma-embedding", 24, 768, 1152, 3, 1, 262144, head=256,
          context=2048, window=512, keys={"pooling_type": 1}, quant="Q8_0"),
    qwen3("qwen3-embedding-0.6b", 28, 1024, 3072, 16, 8, 151669, tied=True, quant="Q8_0",
          keys={"pooling_type": 3}),
    qwen3("qwen3-embedding-8b", 36, 4096, 12288, 32, 8, 151665, tied=True,
          keys={"pooling_type": 3}, context=40960),
    qwen3("qwen3-reranker-0.6b", 28, 1024, 3072, 16, 8, 151669, tied=True, quant="Q8_0",
          features="classifier", context=40960,
          keys={"pooling_type": 4, "classifier.output_labels": ["yes", "no"]}),
)
