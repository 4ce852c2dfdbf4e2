// What a stream is asked for while it is recorded, to be done again. As on a card nothing happens while it
// is recorded: at its end what was written is taken back, and what was made is filled with rubbish, so
// that whoever uses it before a replay is found out. Arguments are those of the recording for ever.
#pragma once
#include <ATen/ATen.h>
#include <torch/library.h>

#include <cstring>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace pretend {
using namespace at;

// The stream in use on this thread: 0 is the default one, 1 that of recordings.
inline StreamId& stream() { thread_local StreamId id = 0; return id; }

class Tape {
 public:
  // That which is running on the stream in use.
  static Tape* now() { return stream() ? running() : nullptr; }

  void begin() {
    TORCH_CHECK(stream(), "CUDA graphs must be captured on a non-default stream (pretended)");
    TORCH_CHECK(!running(), "a graph is being captured already (pretended)");
    running() = this;
  }

  void end() {
    running() = nullptr;
    for (auto& [at, kept] : saved) memcpy(kept.storage.mutable_data(), kept.bytes.data(), kept.bytes.size());
    for (auto& [at, storage] : made) memset(storage.mutable_data(), 0xff, storage.nbytes());
    saved.clear();
  }

  ~Tape() { if (running() == this) running() = nullptr; }

  void replay() const {
    AutoDispatchBelowADInplaceOrView plain;
    for (auto& again : work) again();
  }

  // Memory that is first used by what is recorded.
  void makes(const Storage& storage) {
    if (!saved.count(storage.data())) made.emplace(storage.data(), storage);
  }

  // Memory that is about to be written.
  void writes(const Storage& storage) {
    const void* at = storage.data();
    if (!at || made.count(at) || saved.count(at)) return;
    saved.emplace(at, Kept{storage, std::string(static_cast<const char*>(at), storage.nbytes())});
  }

  void add(std::function<void()> again) { work.push_back(std::move(again)); }

  // `op` has been called with `given`, and gave `results`.
  void add(const c10::OperatorHandle& op, std::vector<IValue> given, std::vector<IValue> results) {
    for (auto& t : tensors(results)) {
      bool own = t.defined() && t.has_storage();
      for (auto& from : tensors(given)) own = own && !(from.defined() && from.storage().data() == t.storage().data());
      if (own) makes(t.storage());
    }
    add([op, given = std::move(given), results = std::move(results)] {
      torch::jit::Stack stack(given.begin(), given.end());
      op.callBoxed(&stack);
      auto fresh = tensors({stack.begin(), stack.end()}), old = tensors(results);
      for (size_t i = 0; i < old.size(); ++i)
        if (old[i].defined() && fresh[i].storage().data() != old[i].storage().data()) old[i].copy_(fresh[i]);
    });
  }

 private:
  struct Kept { Storage storage; std::string bytes; };
  std::vector<std::function<void()>> work;
  std::map<const void*, Storage> made;
  std::map<const void*, Kept> saved;

  static Tape*& running() { static Tape* tape = nullptr; return tape; }

  static std::vector<Tensor> tensors(const std::vector<IValue>& values) {
    std::vector<Tensor> all;
    for (auto& value : values) {
      if (value.isTensor()) all.push_back(value.toTensor());
      if (value.isTensorList()) for (const Tensor& t : value.toTensorVector()) all.push_back(t);
    }
    return all;
  }
};
}  // namespace pretend
