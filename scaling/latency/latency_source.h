#pragma once
// What a measured latency depends on besides the network: who uses times of another machine, type
// or library with those of this one compares what cannot be compared.

#include <cstdint>
#include <string>

#include "engine/io/fields.h"
#include "models/model.h"

namespace hac {

struct LatencySource {
  std::string device;   // "AMD EPYC", "NVIDIA H100 80GB HBM3, sm_90, 132 SMs"
  std::string dtype;    // "f32"
  int threads = 0;      // of the CPU; 0 on a GPU
  std::string isa;      // of the CPU: "avx2"; "" on a GPU
  std::string library;  // "oneDNN 2.6.3, own convolutions 2", "cudnn 91900, tf32"
  bool operator==(const LatencySource&) const = default;

  Fields fields() {
    return Fields()
        .add("device", device)
        .add("dtype", dtype)
        .add("threads", threads, {0, 1 << 20})
        .add("isa", isa)
        .add("library", library);
  }

  // Channels in a block of the layout, in which cost is a staircase.
  std::int64_t block() const { return isa == "neon" ? 4 : isa.starts_with("avx2") ? 8 : 16; }
  std::string str() const;  // "AMD EPYC, f32, 2 threads, avx2, oneDNN 2.6.3"
};

// This process, working there.
LatencySource latency_source(const TensorOptions& where);

// "threads: expected 2, got 8" of the first that differs; "" if none does.
std::string first_difference(const LatencySource& expected, const LatencySource& got);

}  // namespace hac
