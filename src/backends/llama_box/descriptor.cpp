#include "backends/llama_box/flags.h"
#include "backends/llama_box/llama_box.h"

namespace berth::backends::llama_box {
namespace {

constexpr std::string_view kPlaced = "it follows from the placement";
constexpr std::string_view kLoads = "it would load other code into the engine";

// llama-server (server-common.cpp, oaicompat_content_load_media) throws these as errors of its own.
constexpr EngineRefusal kRefusals[] = {
    {"image input is not supported",
     "this model takes no images: it was deployed without a projector (mmproj) that sees"},
    {"audio input is not supported",
     "this model takes no audio: it was deployed without a projector (mmproj) that hears"},
    {"video input is not supported", "this model takes no video"},
    {"Failed to download image", "the image could not be downloaded from its URL"},
};

std::vector<Variable> variables() {
  using enum VariableRule;
  return {
      {.name = "LLAMA_API_KEY", .rule = forced, .why = "each engine gets a random key"},
      {.name = "LLAMA_ARG_*", .rule = removed, .why = "give the flag as a parameter instead"},
      {.name = "MTMD_BACKEND_DEVICE", .rule = removed, .why = kPlaced},
      {.name = "CUDA_VISIBLE_DEVICES", .rule = forced, .why = kPlaced},
      {.name = "CUDA_DEVICE_ORDER", .rule = forced, .why = kPlaced},
      {.name = "HIP_VISIBLE_DEVICES", .rule = forced, .why = kPlaced},
      {.name = "ROCR_VISIBLE_DEVICES", .rule = forced, .why = kPlaced},
      {.name = "GGML_VK_VISIBLE_DEVICES", .rule = forced, .why = kPlaced},
      {.name = "ASCEND_RT_VISIBLE_DEVICES", .rule = forced, .why = kPlaced},
      {.name = "MUSA_VISIBLE_DEVICES", .rule = forced, .why = kPlaced},
      {.name = "ONEAPI_DEVICE_SELECTOR", .rule = forced, .why = kPlaced},
      {.name = "GGML_BACKEND_PATH", .rule = removed, .why = kLoads},
      {.name = "LD_*", .rule = removed, .why = kLoads},
      {.name = "DYLD_*", .rule = removed, .why = kLoads},
      {.name = "PYTHON*", .rule = removed, .why = kLoads},
      {.name = "BERTH_*", .rule = forced, .why = "Berth finds its processes by them"},
      {.name = "PATH", .rule = forced, .why = "Berth starts the engine by its own path"},
      {.name = "HOME", .rule = forced, .why = "the engine's home is the instance's folder"},
      {.name = "OMP_WAIT_POLICY",
       .rule = preset,
       .why = "idle threads must not burn cores that others need",
       .value = "passive"},
  };
}

BackendDescriptor make_descriptor() {
  BackendDescriptor descriptor{
      .name = "llama-box",
      .text = "Serves GGUF models with llama.cpp's llama-server: text, embeddings and reranking.",
      .engines = {"llama.cpp"},
      .platforms = {"linux/amd64", "linux/arm64", "darwin/arm64", "darwin/amd64", "windows/amd64",
                    "windows/arm64"},
      .categories = {model::Category::llm, model::Category::embedding, model::Category::reranker},
      .cpu_offload = true,
      .several_devices = true,
      .several_workers = false,
      .context_flag = "--ctx-size",
      .slots_flag = "--parallel",
      // llama-server (measured): a plain answer is computed to its end, a prompt to its end,
      // whoever left.
      .api = {.learns_by_writing = true, .refusals = kRefusals},
      .parameters = {},
      .variables = variables(),
  };
  for (const auto& flags : {compute_flags(), sampling_flags(), server_flags(), draft_flags()}) {
    descriptor.parameters.insert(descriptor.parameters.end(), flags.begin(), flags.end());
  }
  return descriptor;
}

}  // namespace

const BackendDescriptor& llama_box_descriptor() {
  static const BackendDescriptor descriptor = make_descriptor();
  return descriptor;
}

}  // namespace berth::backends::llama_box
