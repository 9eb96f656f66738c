// berth-judge: what a model will take, by llama.cpp's own allocator, without allocating it.
//
//   berth-judge [--judge-device NAME=KIND:BYTES]... FLAGS OF llama-server
//
// Loads the model's header with `no_alloc`, makes the context that llama-server would make, and
// prints one line of JSON with bytes for each device and the host. Stand-in devices take the place
// of the machine's own; a file that has only its header, and a hole up to its length, will do.
// Exit code 0; 1 with {"error": TEXT} where the engine refuses; 2 for wrong use.
#include "arg.h"
#include "common.h"
#include "llama-ext.h"
#include "llama.h"
#include "log.h"
#include "mtmd.h"
#include "speculative.h"
#include "stand_in.h"

#include <algorithm>
#include <charconv>
#include <cstdio>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <sys/resource.h>
#include <vector>

#include <unistd.h>

namespace {

using berth_judge::StandIn;
using berth_judge::StandInKind;

// "cuda:0=cuda:25769803776"
std::optional<StandIn> parse_stand_in(std::string_view text) {
  const auto equals = text.rfind('=');
  if (equals == std::string_view::npos || equals == 0) return std::nullopt;
  StandIn out;
  out.name = std::string(text.substr(0, equals));
  const auto rest = text.substr(equals + 1);
  const auto colon = rest.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto kind = rest.substr(0, colon);
  if (kind != "cuda" && kind != "rpc") return std::nullopt;
  out.kind = kind == "rpc" ? StandInKind::rpc : StandInKind::cuda;
  const char* const end = rest.data() + rest.size();
  const auto parsed = std::from_chars(rest.data() + colon + 1, end, out.memory);
  if (parsed.ec != std::errc() || parsed.ptr != end || out.memory == 0) return std::nullopt;
  return out;
}

// As server_context_impl::load_model does before it creates the context (b11434).
void set_outputs(common_params& params) {
  const bool pooled = params.pooling_type != LLAMA_POOLING_TYPE_UNSPECIFIED &&
                      params.pooling_type != LLAMA_POOLING_TYPE_NONE;
  if (params.embedding || pooled) {
    params.n_outputs_max = params.n_batch;
    params.n_outputs_max_per_seq = 1;
    return;
  }
  const auto limits = common_speculative_get_output_limits(
      params.n_batch, params.n_parallel, common_speculative_n_max(&params.speculative));
  params.n_outputs_max = std::max(1, limits.total);
  params.n_outputs_max_per_seq = std::max(1, limits.per_seq);
}

struct Sizes {
  std::size_t weights = 0;
  std::size_t kv_cache = 0;
  std::size_t compute = 0;
  std::size_t projector = 0;
};

struct Answer {
  std::vector<ggml_backend_dev_t> devices;
  std::vector<Sizes> sizes;  // of each device; the host's last
  std::int32_t layers = 0;
};

// The engine's own memory of results, which its breakdown leaves out
// (llama_context::output_reserve).
std::size_t output_bytes(const llama_model* model, const llama_context* context) {
  const auto vocabulary =
      static_cast<std::size_t>(llama_vocab_n_tokens(llama_model_get_vocab(model)));
  return vocabulary * llama_n_seq_max(context) * sizeof(float);
}

void add_breakdown(const llama_context* context, Answer& answer) {
  for (const auto& [type, memory] : llama_get_memory_breakdown(context)) {
    // What is neither the host's nor a device's is the CPU's too: its repacked weights.
    auto* sizes = &answer.sizes.back();
    const auto device = ggml_backend_buft_get_device(type);
    const auto found = std::find(answer.devices.begin(), answer.devices.end(), device);
    if (!ggml_backend_buft_is_host(type) && found != answer.devices.end()) {
      sizes = &answer.sizes[static_cast<std::size_t>(found - answer.devices.begin())];
    }
    sizes->weights += memory.model;
    sizes->kv_cache += memory.context;
    sizes->compute += memory.compute;
  }
}

// As llama-server sets it up; without a warm-up nothing is computed.
void add_projector(const common_params& params, Answer& answer) {
  auto settings = mtmd_context_params_default();
  settings.use_gpu = params.mmproj_use_gpu;
  settings.device = params.mmproj_device;
  settings.print_timings = false;
  settings.n_threads = params.cpuparams.n_threads;
  settings.flash_attn_type = params.flash_attn_type;
  settings.warmup = params.warmup;
  settings.image_min_tokens = params.image_min_tokens;
  settings.image_max_tokens = params.image_max_tokens;
  settings.batch_max_tokens = params.mtmd_batch_max_tokens;
  const auto usage = mtmd_get_memory_usage(params.mmproj.path.c_str(), settings);
  if (usage.backend_mem_usage.empty()) throw std::runtime_error("the projector cannot be loaded");
  for (const auto& [device, bytes] : usage.backend_mem_usage) {
    const auto found = std::find(answer.devices.begin(), answer.devices.end(), device);
    answer.sizes[static_cast<std::size_t>(found - answer.devices.begin())].projector += bytes;
  }
}

Answer judge(common_params& params) {
  set_outputs(params);
  auto model_params = common_model_params_to_llama(params);
  const auto context_params = common_context_params_to_llama(params);
  model_params.no_alloc = true;
  model_params.load_mode = LLAMA_LOAD_MODE_NONE;

  const llama_model_ptr model(llama_model_load_from_file(params.model.path.c_str(), model_params));
  if (!model) throw std::runtime_error("the engine does not load this model");
  const llama_context_ptr context(llama_init_from_model(model.get(), context_params));
  if (!context) throw std::runtime_error("the engine does not make a context with these flags");

  Answer answer;
  answer.layers = llama_model_n_layer(model.get());
  for (int i = 0; i < llama_model_n_devices(model.get()); ++i) {
    answer.devices.push_back(llama_model_get_device(model.get(), i));
  }
  answer.sizes.resize(answer.devices.size() + 1);
  add_breakdown(context.get(), answer);
  answer.sizes.back().compute += output_bytes(model.get(), context.get());
  if (!params.mmproj.path.empty()) add_projector(params, answer);
  return answer;
}

std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') out += '\\';
    out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  }
  return out + '"';
}

std::string to_text(const Answer& answer) {
  std::string out = "{\"layers\":" + std::to_string(answer.layers) + ",\"devices\":[";
  for (std::size_t i = 0; i < answer.sizes.size(); ++i) {
    const auto& sizes = answer.sizes[i];
    const bool is_host = i == answer.devices.size();
    if (i != 0) out += ',';
    out += "{\"name\":" + quoted(is_host ? "cpu" : ggml_backend_dev_name(answer.devices[i]));
    out += ",\"weights\":" + std::to_string(sizes.weights);
    out += ",\"kv_cache\":" + std::to_string(sizes.kv_cache);
    out += ",\"compute\":" + std::to_string(sizes.compute);
    out += ",\"projector\":" + std::to_string(sizes.projector) + '}';
  }
  return out + "]}\n";
}

// A file that lies about its tables must not take the machine's memory.
void bound_memory() {
  constexpr rlim_t kMost = rlim_t{8}
                           << 30;  // bytes; with a vocabulary of 262,144 tokens it takes 65 MiB
  const rlimit data{kMost, kMost};
  const rlimit core{0, 0};
  setrlimit(RLIMIT_DATA, &data);
  setrlimit(RLIMIT_CORE, &core);
}

}  // namespace

int main(int argc, char** argv) {
  bound_memory();
  // The engine logs wherever it likes; the answer alone goes to standard output.
  const int answers = dup(STDOUT_FILENO);
  dup2(STDERR_FILENO, STDOUT_FILENO);
  const auto say = [&](const std::string& text) {
    return write(answers, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  };

  std::vector<StandIn> stand_ins;
  std::vector<char*> rest = {argv[0]};
  for (int i = 1; i < argc; ++i) {
    if (std::string_view(argv[i]) != "--judge-device") {
      rest.push_back(argv[i]);
      continue;
    }
    const auto stand_in = i + 1 < argc ? parse_stand_in(argv[++i]) : std::nullopt;
    if (!stand_in) {
      std::fputs("--judge-device takes NAME=KIND:BYTES; KIND is cuda or rpc\n", stderr);
      return 2;
    }
    stand_ins.push_back(*stand_in);
  }

  common_params params;
  common_init();
  ggml_backend_load_all();
  berth_judge::register_stand_ins(stand_ins);
  if (!common_params_parse(static_cast<int>(rest.size()), rest.data(), params,
                           LLAMA_EXAMPLE_SERVER)) {
    return 2;
  }
  // The machine's own devices stay out of it.
  if (!stand_ins.empty()) {
    params.devices.clear();
    for (const auto& stand_in : stand_ins) {
      params.devices.push_back(ggml_backend_dev_by_name(stand_in.name.c_str()));
    }
    params.devices.push_back(nullptr);
  }
  llama_backend_init();
  try {
    const auto text = to_text(judge(params));
    common_log_flush(common_log_main());
    return say(text) ? 0 : 1;
  } catch (const std::exception& error) {
    common_log_flush(common_log_main());
    say("{\"error\":" + quoted(error.what()) + "}\n");
    return 1;
  }
}
