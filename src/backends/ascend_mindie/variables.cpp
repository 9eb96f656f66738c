// What MindIE reads from its environment. Variables that conflict with what Berth decides are
// accepted and not in force, as users of other managers expect; the log's head shows both values.
// See "Environment variables" of MindIE's guide (MindIE LLM development, 2.0.RC2).
#include "backends/ascend_mindie/ascend_mindie.h"
#include "backends/environment.h"

#include <array>

namespace berth::backends::ascend_mindie {
namespace {

constexpr std::string_view kConflicts = "it conflicts with how Berth runs MindIE";
constexpr std::string_view kPlaced = "it follows from the placement";
constexpr std::string_view kLog = "the engine's output is its log";

// To stdout and to no file, each family by its own pair of variables.
constexpr auto kToStdout = std::to_array<std::string_view>(
    {"MINDIE_LOG_TO_STDOUT", "MIES_CERTS_LOG_TO_STDOUT", "MINDIE_LLM_LOG_TO_STDOUT",
     "MINDIE_LLM_PYTHON_LOG_TO_STDOUT", "ASCEND_SLOG_PRINT_TO_STDOUT",
     "MINDIE_RT_LOG_PRINT_TO_STDOUT", "ATB_LOG_TO_STDOUT", "LOG_TO_STDOUT", "ASDOPS_LOG_TO_STDOUT",
     "OCK_LOG_TO_STDOUT", "TORCH_AIE_PRINT_TO_STDOUT"});
constexpr auto kToFile = std::to_array<std::string_view>(
    {"MINDIE_LOG_TO_FILE", "MIES_CERTS_LOG_TO_FILE", "MINDIE_LLM_LOG_TO_FILE",
     "MINDIE_LLM_PYTHON_LOG_TO_FILE", "ASCEND_SLOG_PRINT_TO_FILE", "MINDIE_RT_LOG_PRINT_TO_FILE",
     "ATB_LOG_TO_FILE", "LOG_TO_FILE", "ASDOPS_LOG_TO_FILE", "OCK_LOG_TO_FILE",
     "TORCH_AIE_PRINT_TO_FILE"});
constexpr auto kRemoved = std::to_array<std::string_view>(
    {"NPU_VISIBLE_DEVICES", "NPU_DEVICE_IDS", "ASCEND_RT_VISIBLE_DEVICES", "WORLD_SIZE",
     "RANKTABLEFILE", "RANK_TABLE_FILE", "MIES_CONTAINER_MANAGEMENT_IP", "MIES_CONTAINER_IP",
     "HOST_IP"});

struct Fixed {
  std::string_view name;
  std::string_view value;
};
constexpr Fixed kForced[] = {
    {"MINDIE_LLM_FRAMEWORK_BACKEND", "ATB"},     {"MINDIE_LLM_CONTINUOUS_BATCHING", "1"},
    {"MINDIE_CHECK_INPUTFILES_PERMISSION", "0"}, {"MIES_RECOMPUTE_THRESHOLD", "0.5"},
    {"MINDIE_LLM_RECOMPUTE_THRESHOLD", "0.5"},   {"ATB_OPERATION_EXECUTE_ASYNC", "1"},
};
constexpr Fixed kDefaults[] = {
    {"OMP_NUM_THREADS", "1"},
    {"TASK_QUEUE_ENABLE", "2"},
    {"ATB_LAYER_INTERNAL_TENSOR_REUSE", "1"},
    {"INF_NAN_MODE_ENABLE", "0"},
    {"ATB_LLM_ENABLE_AUTO_TRANSPOSE", "0"},
    {"ATB_CONVERT_NCHW_TO_ND", "1"},
    {"ATB_WORKSPACE_MEM_ALLOC_ALG_TYPE", "3"},
    {"ATB_WORKSPACE_MEM_ALLOC_GLOBAL", "1"},
    {"ATB_STREAM_SYNC_EVERY_KERNEL_ENABLE", "0"},
    {"PYTORCH_NPU_ALLOC_CONF", "expandable_segments:True"},
    {"MIES_CERTS_LOG_LEVEL", "INFO"},
    {"MINDIE_LLM_LOG_LEVEL", "WARN"},
    {"MINDIE_LLM_PYTHON_LOG_LEVEL", "WARN"},
    {"ASCEND_GLOBAL_LOG_LEVEL", "3"},
    {"ASCEND_SLOG_LEVEL", "WARN"},
    {"MINDIE_RT_LOG_LEVEL", "3"},
    {"ATB_LOG_LEVEL", "ERROR"},
    {"LOG_LEVEL", "ERROR"},
    {"ASDOPS_LOG_LEVEL", "ERROR"},
    {"OCK_LOG_LEVEL", "ERROR"},
    {"TORCH_AIE_LOG_LEVEL", "3"},
};

}  // namespace

std::vector<Variable> variables() {
  using enum VariableRule;
  std::vector<Variable> rows = {
      {.name = "MIES_INSTALL_PATH", .rule = overridden, .why = kConflicts},
      {.name = "MIES_CONFIG_JSON_PATH", .rule = overridden, .why = kConflicts},
      {.name = "NPU_MEMORY_FRACTION",
       .rule = overridden,
       .why = "it follows from --npu-memory-fraction"},
      {.name = "MINDIE_ASYNC_SCHEDULING_ENABLE",
       .rule = overridden,
       .why = "it follows from --max-batch-size and --enforce-eager"},
      {.name = "MINDIE_LOG_LEVEL", .rule = overridden, .why = "it follows from --log-level"},
      {.name = "ASCEND_LAUNCH_BLOCKING",
       .rule = overridden,
       .why = "it follows from --enforce-eager"},
  };
  for (const auto& row : kForced) {
    rows.push_back({.name = row.name, .rule = overridden, .why = kConflicts, .value = row.value});
  }
  for (const auto name : kToStdout) {
    rows.push_back({.name = name, .rule = overridden, .why = kLog, .value = "1"});
  }
  for (const auto name : kToFile) {
    rows.push_back({.name = name, .rule = overridden, .why = kLog, .value = "0"});
  }
  for (const auto name : kRemoved) {
    rows.push_back({.name = name, .rule = overridden, .why = kPlaced});
  }
  for (const auto& row : kDefaults) {
    rows.push_back({.name = row.name,
                    .rule = preset,
                    .why = "it serves most models best",
                    .value = row.value});
  }
  return with_common_variables(with_pytorch_variables(with_device_variables(std::move(rows))));
}

}  // namespace berth::backends::ascend_mindie
