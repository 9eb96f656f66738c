// What vLLM reads from its environment (vLLM 0.32, vllm/envs.py) and is not the user's alone.
#include "backends/environment.h"
#include "backends/vllm/vllm.h"

namespace berth::backends::vllm {

std::vector<Variable> variables() {
  using enum VariableRule;
  constexpr std::string_view kMeets = "Berth decides where the engine's processes meet";
  constexpr std::string_view kRank = "it follows from the placement";
  constexpr std::string_view kFiles = "Berth brings the model's files";
  constexpr std::string_view kLoads = "it can load other code into the engine";
  constexpr std::string_view kCompiled = "the engine loads compiled code that it finds there";
  constexpr std::string_view kQuiet = "the engine tells nobody of itself";
  return with_common_variables(with_pytorch_variables(with_device_variables({
      {.name = "VLLM_API_KEY", .rule = forced, .why = "each engine gets a random key"},
      {.name = "VLLM_HOST_IP", .rule = forced, .why = kMeets},
      {.name = "VLLM_LOOPBACK_IP", .rule = forced, .why = kMeets},
      {.name = "VLLM_PORT", .rule = forced, .why = kMeets},
      {.name = "VLLM_RPC_BASE_PATH", .rule = forced, .why = kMeets},
      {.name = "VLLM_NIXL_SIDE_CHANNEL_*", .rule = forced, .why = kMeets},
      {.name = "VLLM_P2P_SIDE_CHANNEL_*", .rule = forced, .why = kMeets},
      {.name = "VLLM_EC_SIDE_CHANNEL_*", .rule = forced, .why = kMeets},
      {.name = "VLLM_MOONCAKE_BOOTSTRAP_PORT", .rule = forced, .why = kMeets},
      {.name = "VLLM_RAY_*", .rule = forced, .why = kMeets},
      {.name = "RAY_*", .rule = forced, .why = kMeets},
      {.name = "MASTER_ADDR", .rule = forced, .why = kMeets},
      {.name = "MASTER_PORT", .rule = forced, .why = kMeets},
      {.name = "TORCHELASTIC_*", .rule = forced, .why = kMeets},
      {.name = "VLLM_DP_*", .rule = forced, .why = kRank},
      {.name = "VLLM_ELASTIC_EP_*", .rule = forced, .why = kRank},
      {.name = "RANK", .rule = forced, .why = kRank},
      {.name = "LOCAL_RANK", .rule = forced, .why = kRank},
      {.name = "WORLD_SIZE", .rule = forced, .why = kRank},
      {.name = "LOCAL_WORLD_SIZE", .rule = forced, .why = kRank},
      {.name = "VLLM_CPU_KVCACHE_SPACE",
       .rule = forced,
       .why = "it follows from the claim; give --kv-cache-memory-bytes instead"},
      {.name = "VLLM_TARGET_DEVICE", .rule = removed, .why = "the engine pack decides"},
      {.name = "VLLM_USE_MODELSCOPE", .rule = removed, .why = kFiles},
      {.name = "VLLM_MODEL_REDIRECT_PATH", .rule = removed, .why = kFiles},
      {.name = "VLLM_KEEP_ALIVE_ON_ENGINE_DEATH",
       .rule = removed,
       .why = "an engine that broke has to end, so that it is started again"},
      {.name = "HF_HUB_OFFLINE", .rule = preset, .why = kFiles, .value = "1"},
      {.name = "HF_HUB_DISABLE_TELEMETRY", .rule = preset, .why = kQuiet, .value = "1"},
      {.name = "VLLM_NO_USAGE_STATS", .rule = preset, .why = kQuiet, .value = "1"},
      {.name = "VLLM_PLUGINS", .rule = guarded, .why = kLoads},
      {.name = "VLLM_NCCL_SO_PATH", .rule = guarded, .why = kLoads},
      {.name = "VLLM_CUDART_SO_PATH", .rule = guarded, .why = kLoads},
      {.name = "VLLM_CUDA_COMPATIBILITY_PATH", .rule = guarded, .why = kLoads},
      {.name = "VLLM_RUST_FRONTEND_PATH", .rule = guarded, .why = kLoads},
      {.name = "VLLM_LOGGING_CONFIG_PATH",
       .rule = guarded,
       .why = "the file that it names can name any Python function"},
      {.name = "VLLM_CACHE_ROOT", .rule = guarded, .why = kCompiled},
      {.name = "VLLM_CONFIG_ROOT", .rule = guarded, .why = kLoads},
      {.name = "VLLM_XLA_CACHE_PATH", .rule = guarded, .why = kCompiled},
      {.name = "VLLM_ALLOW_INSECURE_SERIALIZATION",
       .rule = guarded,
       .why = "the engine would run what its processes send each other"},
      {.name = "VLLM_SERVER_DEV_MODE",
       .rule = guarded,
       .why = "it opens routes by which clients control the engine"},
      {.name = "VLLM_ALLOW_RUNTIME_LORA_UPDATING",
       .rule = guarded,
       .why = "clients could load adapters from the worker's disk"},
      {.name = "VLLM_LORA_RESOLVER_*",
       .rule = guarded,
       .why = "clients could load adapters from the worker's disk"},
  })));
}

}  // namespace berth::backends::vllm
