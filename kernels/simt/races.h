#pragma once
// Who accessed which element of shared memory since the last barrier. Two threads race for an
// element if one of them stores and no barrier lies between, in whatever order they happened to
// run.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "kernels/simt/executor.h"

namespace hac::simt {

class Races {
 public:
  struct Other {
    int thread = 0, line = 0;
    Access kind = Access::load;
  };

  // Cells are the elements of all arrays, counted through.
  void reserve(std::size_t cells) {
    if (cells_.size() < cells) cells_.resize(cells);
  }
  void barrier() { ++epoch_; }  // of the block; also where the next block begins
  void warp_barrier(int warp) { ++phase_[warp]; }
  // The access of another thread with which this one races.
  std::optional<Other> access(std::size_t cell, int thread, Access kind, int line);

 private:
  // Of each kind what is needed to find a race: the last store; of the loads the first thread, one
  // of another warp if there is any, and the lanes of the last warp since its own last barrier.
  struct Cell {
    std::uint32_t stored = 0, loaded = 0;  // epochs
    std::int32_t store_line = 0, load_line = 0;
    std::uint32_t store_phase = 0, load_phase = 0, lanes = 0;
    std::uint16_t storer = 0, first = 0, other = 0, last_warp = 0;
  };

  std::optional<Other> racing_load(const Cell& cell, int thread) const;
  void note_load(Cell& cell, int thread, int line) const;

  std::uint32_t epoch_ = 1;
  std::uint32_t phase_[32] = {};  // of a warp
  std::vector<Cell> cells_;
};

}  // namespace hac::simt
