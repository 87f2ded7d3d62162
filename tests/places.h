#pragma once
// The devices that a test runs on.

#include <string>
#include <vector>

#include "kernels/runtime.h"
#include "kernels/simt/executor.h"

namespace hac {

// Where every op is checked: the CPU, the GPU's kernels under simt in three orders of their
// threads, and the GPU itself where there is one.
struct Place {
  std::string name;
  Device device;
  simt::Order order = simt::Order::forward;
};

inline std::vector<Place> places() {
  const Device simt{DeviceKind::simt, 0}, gpu{DeviceKind::cuda, 0};
  std::vector<Place> all{{"cpu", {}},
                         {"simt forward", simt},
                         {"simt reversed", simt, simt::Order::reversed},
                         {"simt random", simt, simt::Order::random}};
  if (runtime_cuda.count && runtime_cuda.count(nullptr) > 0) all.push_back({"cuda", gpu});
  return all;
}

// While one lives, simt runs its threads in that order.
class At {
 public:
  explicit At(const Place& place) { simt::set_options({.order = place.order, .seed = 7}); }
  ~At() { simt::set_options({}); }
  At(const At&) = delete;
  At& operator=(const At&) = delete;
};

}  // namespace hac
