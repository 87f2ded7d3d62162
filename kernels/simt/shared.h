#pragma once
// The shared memory of the block that runs: arrays by tag, a red zone behind each.

#include <cstddef>
#include <memory>
#include <vector>

namespace hac::simt {

class SharedMemory {
 public:
  static constexpr std::size_t limit = std::size_t{48} * 1024;  // bytes a block, as nvcc has it

  SharedMemory();
  ~SharedMemory();

  void clear();
  // The array of this tag, filled with a NaN pattern when it is new. Null beyond the limit.
  void* get(const void* tag, std::size_t bytes);
  // False when something was written into a red zone.
  bool intact() const;

 private:
  struct Array {
    const void* tag;
    std::size_t begin, end;  // the zone lies behind end
  };
  std::unique_ptr<unsigned char[]> memory_;
  std::vector<Array> arrays_;
};

}  // namespace hac::simt
