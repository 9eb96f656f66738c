// The backends of this program; in a file of its own, so that a program of the tests can have
// others.
#include "backends/ascend_mindie/ascend_mindie.h"
#include "backends/backend.h"
#include "backends/llama_box/llama_box.h"
#include "backends/vllm/vllm.h"
#include "backends/vox_box/vox_box.h"

namespace berth::backends {

const Registry& builtin_backends() {
  static const llama_box::LlamaBox llama_box;
  static const vox_box::VoxBox vox_box;
  static const vllm::Vllm vllm;
  static const ascend_mindie::AscendMindie ascend_mindie;
  static const Registry registry({&llama_box, &vox_box, &vllm, &ascend_mindie});
  return registry;
}

}  // namespace berth::backends
