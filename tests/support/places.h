#pragma once
// The devices and element types that a test runs on. Tests that include this carry the label `gpu`
// (tests/CMakeLists.txt).

#include <cstdlib>
#include <string>
#include <vector>

#include "kernels/core/isa.h"
#include "kernels/simt/executor.h"
#include "tests/support/gpu.h"

namespace hac {

// Where every op is checked: the CPU, the GPU's kernels under simt in three orders of their
// threads, and the GPU itself where there is one. HAC_PLACES=cuda leaves those whose names begin
// so: a GPU's sanitizer has no use for the others.
struct Place {
  std::string name;
  Device device;
  simt::Order order = simt::Order::forward;
  Dtype dtype = Dtype::f32;  // of activations
};

inline std::vector<Place> places() {
  const Device simt{DeviceKind::simt, 0}, gpu{DeviceKind::cuda, 0};
  std::vector<Place> all{{"cpu", {}},
                         {"simt forward", simt},
                         {"simt reversed", simt, simt::Order::reversed},
                         {"simt random", simt, simt::Order::random},
                         {"simt bf16", simt, simt::Order::forward, Dtype::bf16},
                         {"simt f16", simt, simt::Order::forward, Dtype::f16}};
  if (cpu::has_bf16()) all.push_back({"cpu bf16", {}, {}, Dtype::bf16});
  if (gpu_present()) {
    all.push_back({"cuda", gpu});
    all.push_back({"cuda bf16", gpu, {}, Dtype::bf16});
    all.push_back({"cuda f16", gpu, {}, Dtype::f16});
  }
  if (const char* wanted = std::getenv("HAC_PLACES")) {
    std::erase_if(all, [&](const Place& p) { return !p.name.starts_with(wanted); });
  }
  return all;
}

// Four times the rounding of a number: room for the two or three of an op, relative to the largest.
inline double rounding(Dtype dtype) {
  return dtype == Dtype::bf16 ? 0x1p-7 : dtype == Dtype::f16 ? 0x1p-10 : 0;
}

// While one lives, simt runs its threads in that order.
class At {
 public:
  explicit At(const Place& place) {
    simt::set_options({.order = place.order, .seed = 7, .waits = true});
  }
  ~At() { simt::set_options({}); }
  At(const At&) = delete;
  At& operator=(const At&) = delete;
};

}  // namespace hac
