#pragma once
// The shared memory of the block that runs: arrays by tag, a red zone behind each, and who accessed
// which element since the last barrier.

#include <cstddef>
#include <memory>
#include <vector>

#include "kernels/simt/races.h"

namespace hac::simt {

class SharedMemory {
 public:
  static constexpr std::size_t limit = std::size_t{48} * 1024;  // bytes a block, as nvcc has it

  SharedMemory();
  ~SharedMemory();

  struct Array {
    const void* tag = nullptr;
    std::size_t begin = 0, end = 0;            // the zone lies behind end
    std::size_t elements = 0, first_cell = 0;  // in races()
    int number = 0;
  };

  void clear();
  // The array of this tag, filled with a NaN pattern when it is new. Null beyond the limit; valid
  // until the next call.
  const Array* get(const void* tag, std::size_t element_bytes, std::size_t elements);
  const Array& array(int number) const { return arrays_[number]; }
  void* data(const Array& a) const { return memory_.get() + a.begin; }
  // False when something was written into a red zone.
  bool intact() const;
  Races& races() { return races_; }

 private:
  std::unique_ptr<unsigned char[]> memory_;
  std::vector<Array> arrays_;
  Races races_;
};

}  // namespace hac::simt
