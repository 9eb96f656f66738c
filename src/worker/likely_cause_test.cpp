#include "worker/likely_cause.h"

#include <csignal>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace berth::worker {
namespace {

using ::testing::HasSubstr;

model::EngineExit exit_with(std::optional<int> code, std::optional<int> signal,
                            std::vector<std::string> lines) {
  return {.exit_code = code, .signal = signal, .last_lines = std::move(lines)};
}

// What engines wrote before they ended, as people reported it.
struct Report {
  const char* line;
  const char* cause;
  const char* source;
};
constexpr Report kReports[] = {
    // llama.cpp
    {"llama_model_load: error loading model: error loading model architecture: unknown model "
     "architecture: 'llama4'",
     "the engine does not know this model architecture", "abetlen/llama-cpp-python#1994"},
    {"llama_model_load: error loading model: tensor 'blk.3.attn_qkv.weight' data is not within "
     "the file bounds, model is corrupted or incomplete",
     "the model's file is damaged or cut short", "moly-ai/moly-local#13"},
    {"ggml_backend_cuda_buffer_type_alloc_buffer: allocating 144817.04 MiB on device 0: "
     "cudaMalloc failed: out of memory",
     "its device's memory is full", "ggml-org/llama.cpp#20431"},
    {"ggml_cuda_host_malloc: failed to allocate 1034.00 MiB of pinned memory: no CUDA-capable "
     "device is detected",
     "the engine finds no device", "janhq/jan#3782"},
    {"llama_model_load: error loading model: unable to allocate backend buffer", "out of memory",
     "ggml-org/llama.cpp#7366"},
    // vLLM
    {"ERROR 03-19 10:55:18 [engine.py:158] OutOfMemoryError('CUDA out of memory. Tried to "
     "allocate 128.00 MiB. GPU 0 has a total capacity of 79.33 GiB of which 16.00 MiB is free.",
     "its device's memory is full", "vllm-project/vllm#15039"},
    {"vllm-1  | ERROR 11-18 18:07:28 engine.py:366] ValueError: No available memory for the cache "
     "blocks. Try increasing `gpu_memory_utilization` when initializing the engine.",
     "its device has no room for the cache; give it a shorter context, or more memory",
     "vllm-project/vllm#10439"},
    {"ValueError: Free memory on device (59.32/79.15 GiB) on startup is less than desired GPU "
     "memory utilization (0.9, 71.24 GiB). Decrease GPU memory utilization or reduce GPU",
     "other programs use its device's memory", "ovg-project/kvcached#29"},
    {"ValueError: Model architectures ['LlamaModel'] are not supported for now. Supported "
     "architectures: ['AquilaModel', 'AquilaForCausalLM'",
     "the engine does not know this model architecture", "vllm-project/vllm#10481"},
    {"safetensors_rust.SafetensorError: Error while deserializing header: "
     "MetadataIncompleteBuffer",
     "the model's file is damaged or cut short", "QwenLM/Qwen3-VL#264"},
    {"ERROR 07-28 15:07:22 [core.py:632] RuntimeError: CUDA error: no kernel image is available "
     "for execution on the device",
     "the engine was not built for this device", "vllm-project/vllm#14452"},
    {"RuntimeError: The NVIDIA driver on your system is too old (found version 11040). Please "
     "update your GPU driver by downloading and installing a new version from the URL",
     "the NVIDIA driver is too old", "lllyasviel/Fooocus#1313"},
    {"RuntimeError: Found no NVIDIA driver on your system.", "the NVIDIA driver is missing",
     "bentoml/OpenLLM#746"},
    {"OSError: [Errno 98] Address already in use", "its port was taken", "vllm-project/vllm#11617"},
    {"RuntimeError: The server socket has failed to listen on any local network address. useIpv6: "
     "0, code: -98, name: EADDRINUSE, message: address already in use",
     "its port was taken", "vllm-project/vllm#11617"},
    // vox-box
    {"2025-04-13T08:46:47+00:00 - vox_box.cmd.start - CRITICAL - Model isn't supported",
     "the engine does not know this model architecture", "gpustack/gpustack#1723"},
    {"vox_box.cmd.start - CRITICAL - Faild to load model, CUDA error: invalid device ordinal",
     "the engine finds no device", "gpustack/gpustack#1943"},
    {"Failed to transcribe audio, [Errno 2] No such file or directory: 'ffmpeg'",
     "ffmpeg is missing", "gpustack/gpustack#746"},
};

TEST(LikelyCause, IsReadFromWhatEnginesSay) {
  for (const auto& report : kReports) {
    EXPECT_EQ(likely_cause(exit_with(1, {}, {"before", report.line, "after"})), report.cause)
        << report.source;
  }
}

TEST(LikelyCause, IsReadFromTheLastLinesFirst) {
  EXPECT_EQ(likely_cause(exit_with(1, {}, {"x", "error: couldn't bind HTTP server socket", "bye"})),
            "its port was taken");
  EXPECT_EQ(likely_cause(exit_with({}, 9, {"ggml: failed to allocate buffer"})), "out of memory");
  EXPECT_EQ(likely_cause(exit_with(3, {}, {"strange"})), "");
}

// vLLM's API server writes a trace of its own below that of the process that broke.
TEST(LikelyCause, IsFoundAboveALongTrace) {
  const auto exit = exit_with(1, {}, {"RuntimeError: Engine core initialization failed."});
  EXPECT_EQ(likely_cause(exit), "");
  EXPECT_EQ(likely_cause(exit, {.log = {"torch.OutOfMemoryError: CUDA out of memory.", "trace"}}),
            "its device's memory is full");
}

TEST(LikelyCause, IsNotReadFromTheHeadThatBerthWrites) {
  EXPECT_EQ(likely_cause(exit_with(1, {}, {"#   NOTE=out of memory  (user)", "strange"})), "");
}

TEST(LikelyCause, TellsTheKernelsKillsFromOthers) {
  const auto killed = exit_with({}, SIGKILL, {"loading"});
  EXPECT_EQ(likely_cause(killed), "somebody killed it");
  EXPECT_EQ(likely_cause(killed, {.memory_kills = true}), "out of memory: the kernel ended it");
  EXPECT_EQ(likely_cause(exit_with(1, {}, {"a worker died"}), {.memory_kills = true}),
            "out of memory: the kernel ended a process of the engine");
  EXPECT_EQ(likely_cause(exit_with(1, {}, {"Address already in use"}), {.memory_kills = true}),
            "its port was taken");
  EXPECT_EQ(likely_cause(exit_with(0, {}, {"bye"}), {.memory_kills = true}), "");
}

TEST(LikelyCause, NamesTheLimitThatTheEngineWentBeyond) {
  const EndFacts facts{.log = {}, .memory_kills = true, .memory_limit = 3_GiB};
  EXPECT_THAT(likely_cause(exit_with({}, SIGKILL, {"Address already in use"}), facts),
              HasSubstr("more than its limit of 3.0 GiB"));
  EXPECT_THAT(likely_cause(exit_with(1, {}, {}), facts), HasSubstr("claim.ram"));
  EXPECT_EQ(likely_cause(exit_with(0, {}, {}), facts), "");
}

TEST(LikelyCause, TellsSignalsApart) {
  const auto of = [](int number) { return likely_cause(exit_with({}, number, {"loading"})); };
  EXPECT_EQ(of(SIGSEGV), "the engine crashed");
  EXPECT_EQ(of(SIGABRT), "the engine crashed");
  EXPECT_THAT(of(SIGILL), HasSubstr("processor"));
  EXPECT_THAT(of(SIGBUS), HasSubstr("disk"));
  EXPECT_EQ(of(SIGTERM), "somebody asked it to end");
}

TEST(DescribeExit, SaysHowItEndedWhyAndItsLastLine) {
  auto exit = exit_with(1, {}, {"first", "Address already in use"});
  exit.likely_cause = likely_cause(exit);
  EXPECT_EQ(describe_exit(exit),
            "the engine ended with code 1 (its port was taken): Address already in use");
  EXPECT_EQ(describe_exit(exit_with({}, {}, {"exec /x: No such file or directory"})),
            "the engine did not start: exec /x: No such file or directory");
  EXPECT_EQ(describe_exit(exit_with({}, SIGKILL, {})), "the engine was ended by SIGKILL");
}

}  // namespace
}  // namespace berth::worker
