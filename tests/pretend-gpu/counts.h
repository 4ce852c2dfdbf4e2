// Launches, waits of the host and bytes, written to PRETEND_GPU_LOG at the end of the process.
#pragma once
#include <ATen/ATen.h>
#include <execinfo.h>
#include <link.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <string>

namespace pretend {

class Counts {
 public:
  // Never destroyed: tensors of static lifetime are released after main.
  static Counts& all() {
    static Counts* counts = [] { std::atexit([] { all().write(); }); return new Counts; }();
    return *counts;
  }

  void launch(const std::string& what) { std::lock_guard hold(lock); ++launches[what]; }

  void wait(const std::string& what) {
    auto from = addresses();
    std::lock_guard hold(lock);
    ++waits[what + from];
  }

  // More or fewer bytes on the card. Errors: libtorch's, where they do not fit.
  void charge(int64_t bytes) {
    std::lock_guard hold(lock);
    TORCH_CHECK_WITH(OutOfMemoryError, room == 0 || held + bytes <= room,
                     "CUDA out of memory. Tried to allocate ", bytes, " bytes; ", room - held, " are free (pretended).");
    held += bytes;
    peak = std::max(peak, held);
  }
  void release(int64_t bytes) { std::lock_guard hold(lock); held -= bytes; }

 private:
  std::mutex lock;
  std::map<std::string, long> launches, waits;
  int64_t held = 0, peak = 0, room = 0;
  uintptr_t base = 0;
  bool traced = false;

  Counts() {
    if (const char* bytes = getenv("PRETEND_GPU_BYTES")) room = atoll(bytes);
    traced = getenv("PRETEND_GPU_TRACE");
    auto program = [](dl_phdr_info* info, size_t, void* base) {
      if (!info->dlpi_name[0]) *static_cast<uintptr_t*>(base) = info->dlpi_addr;
      return 0;
    };
    dl_iterate_phdr(program, &base);
  }

  // Where in the program we are, as addresses that `addr2line -Cfe PROGRAM` understands.
  std::string addresses() const {
    if (!traced) return "";
    void* frames[64];
    std::string text;
    for (int i = 0, n = backtrace(frames, 64); i < n; ++i) {
      auto at = reinterpret_cast<uintptr_t>(frames[i]) - base;
      char hex[24];
      if (at < 0x4000000) { snprintf(hex, sizeof hex, " %lx", static_cast<unsigned long>(at - 1)); text += hex; }
    }
    return text;
  }

  void write() {
    const char* path = getenv("PRETEND_GPU_LOG");
    FILE* file = path ? fopen(path, "w") : nullptr;
    if (!file) return;
    auto object = [&](const char* name, const std::map<std::string, long>& counts, const char* end) {
      long total = 0;
      for (auto& [_, n] : counts) total += n;
      fprintf(file, "\"%s\": %ld, \"%s of\": {", name, total, name);
      const char* comma = "";
      for (auto& [what, n] : counts) { fprintf(file, "%s\n  \"%s\": %ld", comma, what.c_str(), n); comma = ","; }
      fprintf(file, "}%s\n", end);
    };
    fprintf(file, "{\"peak\": %ld,\n", static_cast<long>(peak));
    object("launches", launches, ",");
    object("waits", waits, "}");
    fclose(file);
  }
};

}  // namespace pretend
