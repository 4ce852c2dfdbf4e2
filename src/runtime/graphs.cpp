// Streams and CUDA graphs for graphs.rs: what libtorch has in C++ only. It links without CUDA: streams are
// asked through c10's interface of devices, at::cuda::CUDAGraph (torch 2.11.0) is looked up by its symbols
// when it is wanted. No exception leaves: a function gives null, or what went wrong, for the caller to free.
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>

#include <cstdlib>
#include <cstring>
#include <exception>
#include <map>
#include <stdexcept>
#include <utility>

namespace {

using c10::Device;
using c10::DeviceType;
using c10::Stream;
using c10::impl::VirtualGuardImpl;

template <class F>
char* told(F work) noexcept {
  try {
    work();
    return nullptr;
  } catch (const c10::Error& error) {
    return strdup(error.what_without_backtrace());
  } catch (const std::exception& error) {
    return strdup(error.what());
  } catch (...) {
    return strdup("an unknown error");
  }
}

template <class F>
F* symbol(const char* name) {
  void* found = dlsym(RTLD_DEFAULT, name);
  if (!found) throw std::runtime_error("this libtorch has no CUDA graphs");
  return reinterpret_cast<F*>(found);
}

// An at::cuda::CUDAGraph, whose header is not there without CUDA's; it takes about 150 bytes.
struct Graph {
  alignas(16) unsigned char object[1024];
};

// The stream of a device on which graphs are recorded: none can be on the default stream.
Stream side(const VirtualGuardImpl& guard, Device device) {
  static std::map<c10::DeviceIndex, Stream> all;
  auto found = all.find(device.index());
  if (found == all.end()) found = all.emplace(device.index(), guard.getStreamFromGlobalPool(device)).first;
  return found->second;
}

// Memory that is cached but not used: a recording has memory of its own.
void release() {
  try {
    auto* allocator = dynamic_cast<c10::DeviceAllocator*>(c10::GetAllocator(DeviceType::CUDA));
    if (allocator) allocator->emptyCache();
  } catch (const std::exception&) {
    // It only takes more memory then.
  }
}

}  // namespace

extern "C" {

struct gradproof_place {
  int64_t stream;
  int32_t stream_device, device;
};

// Makes the side stream of `device` the one in use, once all before is done.
char* gradproof_stream_enter(int device, gradproof_place* before) {
  return told([&] {
    VirtualGuardImpl guard(DeviceType::CUDA);
    Device card(DeviceType::CUDA, static_cast<c10::DeviceIndex>(device));
    guard.synchronizeDevice(card.index());
    before->device = guard.exchangeDevice(card).index();
    auto stream = guard.exchangeStream(side(guard, card));
    before->stream = stream.id();
    before->stream_device = stream.device_index();
  });
}

// Takes that back, once all on the side stream is done.
char* gradproof_stream_leave(const gradproof_place* before) {
  return told([&] {
    VirtualGuardImpl guard(DeviceType::CUDA);
    auto at = static_cast<c10::DeviceIndex>(before->stream_device);
    guard.exchangeStream(Stream(Stream::UNSAFE, Device(DeviceType::CUDA, at), before->stream));
    guard.exchangeDevice(Device(DeviceType::CUDA, static_cast<c10::DeviceIndex>(before->device)));
    guard.synchronizeDevice(at);
  });
}

// Begins to record what the stream in use is asked to do.
char* gradproof_graph_begin(Graph** made) {
  return told([&] {
    using Pool = std::pair<unsigned long long, unsigned long long>;
    auto construct = symbol<void(void*, bool)>("_ZN2at4cuda9CUDAGraphC1Eb");
    auto begin = symbol<void(void*, Pool, int)>(
        "_ZN2at4cuda9CUDAGraph13capture_beginESt4pairIyyE21cudaStreamCaptureMode");
    auto destroy = symbol<void(void*)>("_ZN2at4cuda9CUDAGraphD1Ev");
    release();
    auto* graph = new Graph;
    try {
      construct(graph->object, /*keep_graph=*/false);
    } catch (...) {
      delete graph;
      throw;
    }
    try {
      begin(graph->object, Pool(0, 0), /*cudaStreamCaptureModeGlobal*/ 0);
    } catch (...) {
      destroy(graph->object);
      delete graph;
      throw;
    }
    *made = graph;
  });
}

char* gradproof_graph_end(Graph* graph) {
  return told([&] { symbol<void(void*)>("_ZN2at4cuda9CUDAGraph11capture_endEv")(graph->object); });
}

char* gradproof_graph_replay(Graph* graph) {
  return told([&] { symbol<void(void*)>("_ZN2at4cuda9CUDAGraph6replayEv")(graph->object); });
}

void gradproof_graph_drop(Graph* graph) {
  free(told([&] { symbol<void(void*)>("_ZN2at4cuda9CUDAGraphD1Ev")(graph->object); }));
  delete graph;
}

}  // extern "C"
