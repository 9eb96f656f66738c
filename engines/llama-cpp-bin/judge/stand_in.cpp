#include "stand_in.h"

#include "ggml-backend-impl.h"
#include "ggml-backend.h"
#include "ggml.h"

#include <cstdint>
#include <cstring>
#include <memory>

namespace berth_judge {
namespace {

constexpr std::size_t kAlignment = 128;    // of CUDA's buffers
constexpr std::int64_t kRowPadding = 512;  // MATRIX_ROW_PADDING, in elements
constexpr std::int64_t kOffloadBatch = 32;

// One device with all that ggml holds on to.
struct Device {
  StandIn what;
  std::string host_name;
  ggml_backend_device device{};
  ggml_backend_buffer_type buffers{};
  ggml_backend_buffer_type host_buffers{};
};

struct Registry {
  std::vector<std::unique_ptr<Device>> devices;
  ggml_backend_reg reg{};
  const char* name = "";
};

Device& device_of(ggml_backend_dev_t device) { return *static_cast<Device*>(device->context); }
Device& device_of(ggml_backend_buffer_type_t type) { return *static_cast<Device*>(type->context); }

std::size_t padded(std::size_t size) { return (size + kAlignment - 1) / kAlignment * kAlignment; }

const char* buffers_name(ggml_backend_buffer_type_t type);

bool is_stand_in(ggml_backend_buffer_type_t type) { return type->iface.get_name == buffers_name; }

// What flash attention keeps beside its result where the cache is not f16: K and V as f16
// (ggml_cuda_flash_attn_ext_get_alloc_size).
std::size_t attention_extra(const ggml_tensor* op) {
  std::size_t extra = 0;
  for (int source = 1; source <= 2; ++source) {
    const ggml_tensor* cache = op->src[source];
    if (cache == nullptr || cache->type == GGML_TYPE_F16) continue;
    extra = padded(extra) + static_cast<std::size_t>(ggml_nelements(cache)) * 2;
  }
  return extra;
}

// --- buffer type

const char* buffers_name(ggml_backend_buffer_type_t type) {
  return device_of(type).what.name.c_str();
}

// Nobody reads or writes what lies at such an address: nothing is loaded, nothing computed.
void* nowhere(ggml_backend_buffer_t) { return reinterpret_cast<void*>(kAlignment); }
ggml_status take_tensor(ggml_backend_buffer_t, ggml_tensor*) { return GGML_STATUS_SUCCESS; }
void drop_bytes(ggml_backend_buffer_t, ggml_tensor*, const void*, std::size_t, std::size_t) {}
void clear_nothing(ggml_backend_buffer_t, std::uint8_t) {}

// A projector's weights get a buffer even without allocation; it takes no memory here.
ggml_backend_buffer_t imagined_buffer(ggml_backend_buffer_type_t type, std::size_t size) {
  ggml_backend_buffer_i iface{};
  iface.get_base = nowhere;
  iface.init_tensor = take_tensor;
  iface.set_tensor = drop_bytes;
  iface.clear = clear_nothing;
  return ggml_backend_buffer_init(type, iface, nullptr, size);
}

std::size_t buffers_alignment(ggml_backend_buffer_type_t) { return kAlignment; }

std::size_t buffers_alloc_size(ggml_backend_buffer_type_t, const ggml_tensor* tensor) {
  std::size_t size = ggml_nbytes(tensor);
  if (tensor->op == GGML_OP_FLASH_ATTN_EXT) size = padded(size) + attention_extra(tensor);
  if (ggml_is_quantized(tensor->type) && tensor->ne[0] % kRowPadding != 0) {
    size += ggml_row_size(tensor->type, kRowPadding - tensor->ne[0] % kRowPadding);
  }
  return size;
}

// Pinned memory of the host: results and inputs really lie here, so it is really allocated.
const char* host_buffers_name(ggml_backend_buffer_type_t type) {
  return device_of(type).host_name.c_str();
}

ggml_backend_buffer_t host_buffer(ggml_backend_buffer_type_t type, std::size_t size) {
  ggml_backend_buffer_t buffer =
      ggml_backend_buft_alloc_buffer(ggml_backend_cpu_buffer_type(), size);
  if (buffer != nullptr) buffer->buft = type;
  return buffer;
}

// --- stream

const char* stream_name(ggml_backend_t stream) {
  return device_of(stream->device).what.name.c_str();
}

void free_stream(ggml_backend_t stream) { delete stream; }

void do_nothing(ggml_backend_t) {}

ggml_status refuse_to_compute(ggml_backend_t, ggml_cgraph*) { return GGML_STATUS_FAILED; }

void record_event(ggml_backend_t, ggml_backend_event_t) {}

ggml_guid_t stream_guid() {
  static ggml_guid guid = {'b', 'e', 'r', 't', 'h', '-', 's', 't',
                           'a', 'n', 'd', '-', 'i', 'n', 0,   1};
  return &guid;
}

// --- device

const char* device_name(ggml_backend_dev_t device) { return device_of(device).what.name.c_str(); }

void device_memory(ggml_backend_dev_t device, std::size_t* free, std::size_t* total) {
  *free = *total = device_of(device).what.memory;
}

enum ggml_backend_dev_type device_type(ggml_backend_dev_t) { return GGML_BACKEND_DEVICE_TYPE_GPU; }

void device_props(ggml_backend_dev_t device, ggml_backend_dev_props* props) {
  props->name = device_name(device);
  props->description = "a device that is not there";
  props->type = device_type(device);
  props->device_id = nullptr;
  device_memory(device, &props->memory_free, &props->memory_total);
  props->caps = {};
  props->caps.async = true;
  props->caps.events = true;
  props->caps.host_buffer = device_of(device).what.kind == StandInKind::cuda;
  props->caps.mmap_support = true;
}

ggml_backend_t init_stream(ggml_backend_dev_t device, const char*) {
  ggml_backend_i iface{};
  iface.get_name = stream_name;
  iface.free = free_stream;
  iface.synchronize = do_nothing;
  iface.graph_compute = refuse_to_compute;
  iface.event_record = record_event;
  iface.event_wait = record_event;
  return new ggml_backend{stream_guid(), iface, device, nullptr};
}

ggml_backend_buffer_type_t device_buffers(ggml_backend_dev_t device) {
  return &device_of(device).buffers;
}

ggml_backend_buffer_type_t device_host_buffers(ggml_backend_dev_t device) {
  return &device_of(device).host_buffers;
}

// Head sizes that ggml-cuda has kernels for (ggml_cuda_get_best_fattn_kernel).
bool can_flash(const ggml_tensor* op) {
  const std::int64_t key = op->src[1]->ne[0];
  const std::int64_t value = op->src[2]->ne[0];
  const std::int64_t groups = op->src[0]->ne[2] / op->src[1]->ne[2];
  switch (key) {
    case 40:
    case 64:
    case 72:
    case 80:
    case 96:
    case 112:
    case 128:
    case 256:
      return value == key;
    case 192:
      return value == 128 && groups % 8 == 0;
    case 320:
      return value == 256 && groups % 32 == 0;
    case 512:
      return value == key && groups >= 2;
    case 576:
      return value == 512 && groups >= 2;
    default:
      return false;
  }
}

// Scans that ggml-cuda has kernels for: Mamba 2, which has one decay a head, and Mamba 1.
bool can_scan(const ggml_tensor* op) {
  const std::int64_t* state = op->src[0]->ne;
  if (op->src[3]->ne[0] == 1) {
    return (state[0] == 96 || state[0] == 128 || state[0] == 256) && state[1] % 16 == 0;
  }
  return state[0] == 16 && state[1] == 1 && state[2] % 128 == 0 && op->src[4]->ne[1] == 1;
}

bool supports_op(ggml_backend_dev_t device, const ggml_tensor* op) {
  for (const ggml_tensor* source : op->src) {
    if (source == nullptr || source->buffer == nullptr) continue;
    ggml_backend_buffer_type_t type = source->buffer->buft;
    if (is_stand_in(type) && type->device != device) return false;
  }
  switch (op->op) {
    case GGML_OP_FLASH_ATTN_EXT:
      return can_flash(op);
    case GGML_OP_SSM_CONV:
      return op->src[0]->ne[1] % 128 == 0;
    case GGML_OP_SSM_SCAN:
      return can_scan(op);
    default:
      return true;
  }
}

bool supports_buffers(ggml_backend_dev_t device, ggml_backend_buffer_type_t type) {
  return is_stand_in(type) && type->device == device;
}

// With weights on the host, a device computes what has this many rows or more (get_op_batch_size).
bool offload_op(ggml_backend_dev_t, const ggml_tensor* op) {
  switch (op->op) {
    case GGML_OP_GET_ROWS:
      return false;
    case GGML_OP_MUL_MAT:
      return op->ne[1] >= kOffloadBatch;
    case GGML_OP_MUL_MAT_ID:
    case GGML_OP_ROPE:
    case GGML_OP_ROPE_BACK:
      return op->ne[2] >= kOffloadBatch;
    default:
      return ggml_nrows(op) >= kOffloadBatch;
  }
}

ggml_backend_event_t new_event(ggml_backend_dev_t device) {
  return new ggml_backend_event{device, nullptr};
}

void free_event(ggml_backend_dev_t, ggml_backend_event_t event) { delete event; }

void wait_for_event(ggml_backend_dev_t, ggml_backend_event_t) {}

// --- registry

Registry& registry_of(ggml_backend_reg_t reg) { return *static_cast<Registry*>(reg->context); }

const char* registry_name(ggml_backend_reg_t reg) { return registry_of(reg).name; }

std::size_t device_count(ggml_backend_reg_t reg) { return registry_of(reg).devices.size(); }

ggml_backend_dev_t device_at(ggml_backend_reg_t reg, std::size_t index) {
  return &registry_of(reg).devices[index]->device;
}

void* no_function(ggml_backend_reg_t, const char*) { return nullptr; }

std::unique_ptr<Device> make_device(const StandIn& what, ggml_backend_reg_t reg) {
  auto made = std::make_unique<Device>();
  made->what = what;
  made->host_name = what.name + "_host";

  auto& device = made->device;
  device.reg = reg;
  device.context = made.get();
  device.iface.get_name = device_name;
  device.iface.get_description = device_name;
  device.iface.get_memory = device_memory;
  device.iface.get_type = device_type;
  device.iface.get_props = device_props;
  device.iface.init_backend = init_stream;
  device.iface.get_buffer_type = device_buffers;
  device.iface.supports_op = supports_op;
  device.iface.supports_buft = supports_buffers;
  device.iface.event_new = new_event;
  device.iface.event_free = free_event;
  device.iface.event_synchronize = wait_for_event;
  if (what.kind == StandInKind::cuda) {
    device.iface.get_host_buffer_type = device_host_buffers;
    device.iface.offload_op = offload_op;
  }

  auto& buffers = made->buffers;
  buffers.device = &device;
  buffers.context = made.get();
  buffers.iface.get_name = buffers_name;
  buffers.iface.alloc_buffer = imagined_buffer;
  buffers.iface.get_alignment = buffers_alignment;
  buffers.iface.get_alloc_size = buffers_alloc_size;

  auto& host = made->host_buffers;
  host.device = &device;
  host.context = made.get();
  host.iface = ggml_backend_cpu_buffer_type()->iface;
  host.iface.get_name = host_buffers_name;
  host.iface.alloc_buffer = host_buffer;
  return made;
}

}  // namespace

void register_stand_ins(const std::vector<StandIn>& stand_ins) {
  for (const auto& what : stand_ins) {
    auto* registry = new Registry;  // ggml keeps it until the process ends
    registry->name = what.kind == StandInKind::rpc ? "RPC" : "CUDA";
    registry->reg.api_version = GGML_BACKEND_API_VERSION;
    registry->reg.context = registry;
    registry->reg.iface = {registry_name, device_count, device_at, no_function};
    registry->devices.push_back(make_device(what, &registry->reg));
    ggml_backend_register(&registry->reg);
  }
}

}  // namespace berth_judge
