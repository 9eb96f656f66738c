#include "backends/environment.h"
#include "backends/llama_box/flags.h"
#include "backends/llama_box/llama_box.h"

namespace berth::backends::llama_box {
namespace {

constexpr std::string_view kPlaced = "it follows from the placement";
constexpr std::string_view kLoads = "it can load other code into the engine";
constexpr std::string_view kFlag = "give the flag as a parameter instead";

// llama-server (server-common.cpp, oaicompat_content_load_media) throws these as errors of its own.
constexpr EngineRefusal kRefusals[] = {
    {"image input is not supported",
     "this model takes no images: it was deployed without a projector (mmproj) that sees"},
    {"audio input is not supported",
     "this model takes no audio: it was deployed without a projector (mmproj) that hears"},
    {"video input is not supported", "this model takes no video"},
    {"Failed to download image", "the image could not be downloaded from its URL"},
    {"input (",
     "an input has more tokens than the model reads at once; shorten it, or deploy the model with "
     "a "
     "larger --ctx-size where it was trained for one"},
};

std::vector<Variable> variables() {
  using enum VariableRule;
  return with_common_variables(with_device_variables({
      {.name = "LLAMA_API_KEY", .rule = forced, .why = "each engine gets a random key"},
      {.name = "LLAMA_ARG_*", .rule = removed, .why = kFlag},
      {.name = "LLAMA_LOG_*", .rule = removed, .why = kFlag},
      {.name = "LLAMA_SERVER_*", .rule = removed, .why = "it is for llama.cpp's own router"},
      {.name = "LLAMA_APP_CMD", .rule = removed, .why = "it is for llama.cpp's own router"},
      {.name = "MTMD_BACKEND_DEVICE", .rule = removed, .why = kPlaced},
      {.name = "GGML_BACKEND_PATH", .rule = guarded, .why = kLoads},
      {.name = "OMP_WAIT_POLICY",
       .rule = preset,
       .why = "idle threads must not burn cores that others need",
       .value = "passive"},
  }));
}

BackendDescriptor make_descriptor() {
  BackendDescriptor descriptor{
      .name = "llama-box",
      .text = "Serves GGUF models with llama.cpp's llama-server: text, embeddings and reranking.",
      .engines = {"llama.cpp"},
      .platforms = {"linux/amd64", "linux/arm64", "darwin/arm64", "darwin/amd64", "windows/amd64",
                    "windows/arm64"},
      .categories = {model::Category::llm, model::Category::embedding, model::Category::reranker},
      .division = Division::layers,
      .cpu_offload = true,
      .several_workers = true,
      .spans_by_itself = true,
      .span_capability = "rpc",
      .context_flag = "--ctx-size",
      .slots_flag = "--parallel",
      // llama-server (measured): a plain answer is computed to its end, a prompt to its end,
      // whoever left.
      .api = {.learns_by_writing = true,
              .refusals = kRefusals,
              .ignores_dimensions = true,
              .raw_scores = true},
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
