#include "kernels/simt/races.h"

#include <bit>

namespace hac::simt {

constexpr int warp_size = 32;

std::optional<Races::Other> Races::access(std::size_t index, int thread, Access kind, int line) {
  Cell& cell = cells_[index];
  const int warp = thread / warp_size;
  const bool ordered = cell.stored != epoch_ || cell.storer == thread ||
                       (cell.storer / warp_size == warp && cell.store_phase != phase_[warp]);
  if (!ordered) return Other{cell.storer, cell.store_line, Access::store};
  if (kind == Access::load) {
    note_load(cell, thread, line);
    return {};
  }
  if (cell.loaded == epoch_) {
    if (const auto other = racing_load(cell, thread)) return other;
  }
  cell.stored = epoch_;
  cell.store_phase = phase_[warp];
  cell.store_line = line;
  cell.storer = static_cast<std::uint16_t>(thread);
  return {};
}

std::optional<Races::Other> Races::racing_load(const Cell& cell, int thread) const {
  const int warp = thread / warp_size;
  for (const int other : {cell.first, cell.other}) {
    if (other / warp_size != warp) return Other{other, cell.load_line, Access::load};
  }
  if (cell.load_phase != phase_[warp]) return {};
  const std::uint32_t others = cell.lanes & ~(1u << thread % warp_size);
  if (others == 0) return {};
  return Other{warp * warp_size + std::countr_zero(others), cell.load_line, Access::load};
}

void Races::note_load(Cell& cell, int thread, int line) const {
  const int warp = thread / warp_size;
  const auto number = static_cast<std::uint16_t>(thread);
  if (cell.loaded != epoch_) {
    cell.loaded = epoch_;
    cell.first = cell.other = number;
    cell.lanes = 0;
  } else if (warp != cell.first / warp_size) {
    cell.other = number;
  }
  if (cell.last_warp != warp || cell.load_phase != phase_[warp]) cell.lanes = 0;
  cell.last_warp = static_cast<std::uint16_t>(warp);
  cell.load_phase = phase_[warp];
  cell.load_line = line;
  cell.lanes |= 1u << thread % warp_size;
}

}  // namespace hac::simt
