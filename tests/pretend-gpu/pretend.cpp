// A GPU that is not there. Preloaded under the name libtorch_cuda.so it keeps the real one out and gives
// libtorch one device, cuda:0, whose memory is the host's and whose kernels are the CPU's. Unlike the CPU it
//   - refuses tensors of different devices in one operation, as CUDA does,
//   - counts launches (operations that would start a kernel) and waits (of the host for the device),
//   - has as much memory as PRETEND_GPU_BYTES says, and libtorch's own error beyond it,
//   - computes wrongly what PRETEND_GPU_WRONG names, for a test of tests.
// What it counted is written to the file PRETEND_GPU_LOG, as JSON, at the end of the process. README.md says
// what it cannot see.
#include <ATen/ATen.h>
#include <ATen/EmptyTensor.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/DeviceGuardImplInterface.h>
#include <torch/library.h>

#include <cstdlib>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "counts.h"
#include "tape.h"

namespace at::native {
Tensor as_strided_tensorimpl(const Tensor&, IntArrayRef, IntArrayRef, std::optional<int64_t>);
Tensor view(const Tensor&, IntArrayRef);
Tensor _reshape_alias(const Tensor&, IntArrayRef, IntArrayRef);
}  // namespace at::native

namespace pretend {
using namespace at;

const Device CARD(kCUDA, 0);
const DispatchKeySet CARD_KEYS(DispatchKey::CUDA);

// Operations after which the host knows something that the device computed.
const std::set<std::string> WAITING = {
    "aten::_local_scalar_dense", "aten::_linalg_eigh", "aten::_linalg_svd", "aten::_unique2", "aten::bincount",
    "aten::equal", "aten::masked_select", "aten::nonzero", "aten::repeat_interleave", "aten::unique_consecutive"};

// Whose indices and masks may lie on the host: they are uploaded, which waits.
const std::set<std::string> INDEXING = {"aten::index", "aten::index_put_", "aten::_index_put_impl_"};

// ------------------------------------------------------------------ memory, and the two sides of a tensor

struct Memory final : Allocator {
  DataPtr allocate(size_t bytes) override {
    Counts::all().charge(bytes);
    struct Held { void* data; size_t bytes; };
    void* data = nullptr;
    if (bytes && posix_memalign(&data, 64, bytes)) throw std::bad_alloc();
    auto free_it = [](void* context) {
      auto* held = static_cast<Held*>(context);
      Counts::all().release(held->bytes);
      free(held->data);
      delete held;
    };
    return {data, new Held{data, bytes}, free_it, CARD};
  }
  DeleterFnPtr raw_deleter() const override { return nullptr; }
  void copy_data(void* to, const void* from, size_t bytes) const override { memcpy(to, from, bytes); }
};
Memory memory;

bool on_card(const Tensor& t) { return t.defined() && t.device().type() == kCUDA; }

// The same bytes on another side; `kept` lives as long as they are seen there.
Storage seen(const Storage& kept, Device device, Allocator* allocator, int64_t charged) {
  struct Held { Storage storage; int64_t charged; };
  auto drop = [](void* context) {
    auto* held = static_cast<Held*>(context);
    Counts::all().release(held->charged);
    delete held;
  };
  Counts::all().charge(charged);
  DataPtr data(kept.mutable_data(), new Held{kept, charged}, drop, device);
  return Storage(Storage::use_byte_size_t(), kept.nbytes(), std::move(data), allocator, /*resizable=*/true);
}

// `t` over `storage`.
Tensor over(const Tensor& t, Storage storage, DispatchKeySet keys) {
  auto made = at::detail::make_tensor<TensorImpl>(std::move(storage), keys, t.dtype());
  auto* impl = made.unsafeGetTensorImpl();
  impl->set_sizes_and_strides(t.sizes(), t.strides(), t.storage_offset());
  if (t.unsafeGetTensorImpl()->is_wrapped_number()) impl->set_wrapped_number(true);
  return made;
}
Tensor to_host(const Tensor& t) {
  return over(t, seen(t.storage(), kCPU, GetAllocator(kCPU), 0), DispatchKeySet(DispatchKey::CPU));
}
Tensor to_card(const Tensor& t) {
  return over(t, seen(t.storage(), CARD, &memory, t.storage().nbytes()), CARD_KEYS);
}

// ------------------------------------------------------------------ every operation, by the CPU's kernel

class Call {
 public:
  Call(const c10::OperatorHandle& op, torch::jit::Stack* stack) : op(op), stack(stack), name(op.schema().name()) {}

  void run() {
    const auto& schema = op.schema();
    const size_t from = stack->size() - schema.arguments().size();
    for (size_t i = 0; i < schema.arguments().size(); ++i) {
      argument = i;
      give((*stack)[from + i], [this](const Tensor& t) { return host(t); });
      IValue& value = (*stack)[from + i];
      if (value.isDevice() && value.toDevice().type() == kCUDA) { value = IValue(Device(kCPU)); card = true; }
    }
    check();
    const auto& overload = schema.overload_name();
    Counts::all().launch(overload.empty() ? name : name + "." + overload);
    if (WAITING.count(name)) Counts::all().wait(name);
    Tape* tape = card ? Tape::now() : nullptr;
    std::vector<IValue> given;
    if (tape) {
      TORCH_CHECK(!WAITING.count(name) && stranger.empty(), "operation not permitted when stream is capturing (pretended)");
      given.assign(stack->begin() + from, stack->end());
      for (auto& pair : pairs)
        if (writes(pair.argument)) tape->writes(pair.host.storage());
    }
    op.callBoxed(stack);
    if (tape) tape->add(op, std::move(given), {stack->end() - schema.returns().size(), stack->end()});
    written();
    if (!card || name == "aten::_local_scalar_dense") return;
    const size_t results = stack->size() - schema.returns().size();
    for (size_t i = results; i < stack->size(); ++i) give((*stack)[i], [this](const Tensor& t) { return back(t); });
  }

 private:
  const c10::OperatorHandle& op;
  torch::jit::Stack* stack;
  const std::string& name;
  struct Pair { size_t argument; Tensor card, host; };
  std::vector<Pair> pairs;
  size_t argument = 0;
  bool card = false;
  std::string stranger;  // an argument on the host that is more than a number

  template <class F>
  static void give(IValue& value, F f) {
    if (value.isTensor()) {
      value = f(value.toTensor());
    } else if (value.isTensorList()) {
      c10::List<Tensor> list;
      for (const Tensor& t : value.toTensorVector()) list.push_back(f(t));
      value = list;
    } else if (value.isOptionalTensorList()) {
      c10::List<std::optional<Tensor>> list;
      for (std::optional<Tensor> t : value.toOptionalTensorList())
        list.push_back(t ? std::optional<Tensor>(f(*t)) : std::nullopt);
      value = list;
    }
  }

  Tensor host(const Tensor& t) {
    if (!on_card(t)) {
      if (t.defined() && t.dim() > 0) stranger = op.schema().arguments()[argument].name();
      return t;
    }
    card = true;
    pairs.push_back({argument, t, to_host(t)});
    return pairs.back().host;
  }

  void check() const {
    if (!card || stranger.empty()) return;
    TORCH_CHECK(INDEXING.count(name), "Expected all tensors to be on the same device, but `", stranger, "` of `", name,
                "` is on cpu, others are on cuda:0 (pretended)");
    Counts::all().wait("upload of indices for " + name);
  }

  // Whether an argument is written; of running statistics the schema does not say so.
  bool writes(size_t i) const {
    auto* alias = op.schema().arguments()[i].alias_info();
    return (alias && alias->isWrite()) || name.find("batch_norm") != std::string::npos;
  }

  // What was written in place may have got another size or memory.
  void written() {
    for (auto& [i, was, is] : pairs) {
      if (!writes(i)) continue;
      if (is.storage().data() != was.storage().data())
        was.unsafeGetTensorImpl()->set_storage_keep_dtype(to_card(is).storage());
      was.unsafeGetTensorImpl()->set_sizes_and_strides(is.sizes(), is.strides(), is.storage_offset());
    }
  }

  Tensor back(const Tensor& t) const {
    if (!t.defined() || on_card(t)) return t;
    static const char* wrong = getenv("PRETEND_GPU_WRONG");
    if (wrong && name == wrong && t.dim() > 0) t.copy_(t.flip({-1}));
    for (auto& [_, was, is] : pairs)
      if (is.is_same(t)) return was;
    for (auto& [_, was, is] : pairs)
      if (t.storage().data() && t.storage().data() == is.storage().data()) return over(t, was.storage(), CARD_KEYS);
    return to_card(t);
  }
};

void every(const c10::OperatorHandle& op, torch::jit::Stack* stack) { Call(op, stack).run(); }

// ------------------------------------------------------------------ what makes and moves memory

using Kind_ = std::optional<ScalarType>;

Tensor made(Tensor t) {
  if (Tape* tape = Tape::now()) tape->makes(t.storage());
  return t;
}

Tensor empty(IntArrayRef size, Kind_ kind, std::optional<Layout>, std::optional<Device>, std::optional<bool>,
             std::optional<MemoryFormat> format) {
  return made(at::detail::empty_generic(size, &memory, CARD_KEYS, c10::dtype_or_default(kind), format));
}
Tensor empty_strided(IntArrayRef size, IntArrayRef stride, Kind_ kind, std::optional<Layout>, std::optional<Device>,
                     std::optional<bool>) {
  return made(at::detail::empty_strided_generic(size, stride, &memory, CARD_KEYS, c10::dtype_or_default(kind)));
}
Tensor zeros(IntArrayRef size, Kind_ kind, std::optional<Layout> layout, std::optional<Device> device,
             std::optional<bool> pin) {
  return empty(size, kind, layout, device, pin, std::nullopt).zero_();
}

Tensor& copy(Tensor& self, const Tensor& from, bool non_blocking) {
  auto& counts = Counts::all();
  const bool up = on_card(self) && !on_card(from), down = !on_card(self);
  counts.launch(up ? "upload" : down ? "download" : "copy");
  if (up && !non_blocking) counts.wait("blocking upload of " + std::to_string(from.nbytes()) + " bytes");
  if (down) counts.wait("download of " + std::to_string(from.nbytes()) + " bytes");
  auto to = on_card(self) ? to_host(self) : self, source = on_card(from) ? to_host(from) : from;
  Tape* tape = Tape::now();
  TORCH_CHECK(!tape || !(up || down),
              "Cannot copy between CPU and CUDA tensors during CUDA graph capture unless the CPU tensor is pinned (pretended)");
  if (tape) {
    tape->writes(to.storage());
    tape->add([to, source] { to.copy_(source); });
  }
  to.copy_(source);
  return self;
}

const Tensor& resize(const Tensor& self, IntArrayRef size, std::optional<MemoryFormat> format) {
  int64_t bytes = self.dtype().itemsize();
  for (auto n : size) bytes *= n;
  auto* impl = self.unsafeGetTensorImpl();
  if (static_cast<int64_t>(self.storage().nbytes()) < bytes)
    impl->set_storage_keep_dtype(empty(size, self.scalar_type(), {}, {}, {}, {}).storage());
  impl->set_sizes_contiguous(size);
  if (format && *format != MemoryFormat::Preserve) impl->empty_tensor_restride(*format);
  return self;
}

// ------------------------------------------------------------------ what libtorch asks of a device

struct Guard final : c10::impl::DeviceGuardImplInterface {
  DeviceType type() const override { return kCUDA; }
  Device exchangeDevice(Device) const override { return CARD; }
  Device getDevice() const override { return CARD; }
  void setDevice(Device) const override {}
  void uncheckedSetDevice(Device) const noexcept override {}
  Stream getStream(Device) const override { return Stream(Stream::UNSAFE, CARD, stream()); }
  Stream getDefaultStream(Device) const override { return Stream(Stream::DEFAULT, CARD); }
  Stream getStreamFromGlobalPool(Device, bool) const override { return Stream(Stream::UNSAFE, CARD, 1); }
  Stream exchangeStream(Stream next) const override {
    return Stream(Stream::UNSAFE, CARD, std::exchange(stream(), next.id()));
  }
  void synchronizeDevice(const DeviceIndex) const override { Counts::all().wait("synchronize"); }
  DeviceIndex deviceCount() const noexcept override { return 1; }
  void record(void**, const Stream&, const DeviceIndex, const c10::EventFlag) const override {}
  void block(void*, const Stream&) const override {}
  bool queryEvent(void*) const override { return true; }
  void destroyEvent(void*, const DeviceIndex) const noexcept override {}
  bool queryStream(const Stream&) const override { return true; }
  void synchronizeStream(const Stream&) const override {}
  void recordDataPtrOnStream(const c10::DataPtr&, const Stream&) const override {}
};

C10_REGISTER_GUARD_IMPL(CUDA, Guard);
}  // namespace pretend

enum cudaStreamCaptureMode { cudaStreamCaptureModeGlobal };

namespace at::cuda {
// What is exported of the real one, as far as the program asks it.
struct CUDAGraph {
  explicit CUDAGraph(bool keep_graph);
  ~CUDAGraph();
  void capture_begin(std::pair<unsigned long long, unsigned long long> pool, cudaStreamCaptureMode mode);
  void capture_end();
  void replay();
  pretend::Tape* tape;
};
CUDAGraph::CUDAGraph(bool) : tape(new pretend::Tape) {}
CUDAGraph::~CUDAGraph() { delete tape; }
void CUDAGraph::capture_begin(std::pair<unsigned long long, unsigned long long>, cudaStreamCaptureMode) { tape->begin(); }
void CUDAGraph::capture_end() { tape->end(); }
void CUDAGraph::replay() { pretend::Counts::all().launch("graph"); tape->replay(); }
}  // namespace at::cuda

namespace at {
struct CUDAHooks final : CUDAHooksInterface {
  explicit CUDAHooks(CUDAHooksArgs) {}
  void init() const override {}
  bool hasCUDA() const override { return true; }
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(DeviceIndex) const override { return true; }
  DeviceIndex current_device() const override { return 0; }
  DeviceIndex getCurrentDevice() const override { return 0; }
  DeviceIndex deviceCount() const override { return 1; }
  int getNumGPUs() const override { return 1; }
  void deviceSynchronize(DeviceIndex) const override { pretend::Counts::all().wait("synchronize"); }
  Allocator* getPinnedMemoryAllocator() const override { return GetAllocator(kCPU); }
  Allocator* getCUDADeviceAllocator() const override { return &pretend::memory; }
  Device getDeviceFromPtr(void*) const override { return pretend::CARD; }
};
REGISTER_CUDA_HOOKS(CUDAHooks);
}  // namespace at

TORCH_LIBRARY_IMPL(_, CUDA, m) { m.fallback(torch::CppFunction::makeFromBoxedFunction<&pretend::every>()); }
TORCH_LIBRARY_IMPL(aten, CUDA, m) {
  m.impl("empty.memory_format", TORCH_FN(pretend::empty));
  m.impl("empty_strided", TORCH_FN(pretend::empty_strided));
  m.impl("_efficientzerotensor", TORCH_FN(pretend::zeros));
  m.impl("copy_", TORCH_FN(pretend::copy));
  m.impl("resize_", TORCH_FN(pretend::resize));
  m.impl("as_strided", TORCH_FN(at::native::as_strided_tensorimpl));
  m.impl("view", TORCH_FN(at::native::view));
  m.impl("_reshape_alias", TORCH_FN(at::native::_reshape_alias));
  // Composite where there is no GPU: one kernel each here.
  for (auto name : {"convolution", "convolution_backward", "convolution_overrideable", "convolution_backward_overrideable"})
    m.impl(name, torch::CppFunction::makeFromBoxedFunction<&pretend::every>());
}
