#pragma once
// What a recorded training step does where an eager one asks the host: it takes its settings from a
// table of the steps to come, and adds up losses and hits, until the host comes to read them. An
// evaluation takes the places of its batches so, on every device.
//
//   advance  row `totals.row` of the table is laid out where kernels read it; totals.row grows by 1
//   count    of each part of a batch, in order; p = probs, l = labels:
//            correct += #{i : p[i, l[i]] > p[i, j] for all j < l[i], >= for all others}
//            behind the last part: loss += (sum of the parts' losses) * images, steps += 1; or,
//            where that sum is not finite, broken = steps and stop = 1, and what comes later
//            counts nothing
//
// Shapes: table (rows, row_bytes) u8; probs (n, classes) f32, labels (n) i32, loss () f32; totals
// one StepTotals on the device. A multiple of 4 bytes everywhere.

#include <cstdint>
#include <span>
#include <string>

#include "kernels/core/context.h"
#include "kernels/core/table.h"
#include "kernels/core/types.h"

namespace hac {

// As it lies in the device's memory.
struct StepTotals {
  double loss = 0;   // sum of loss * images
  double parts = 0;  // losses of the step's parts so far; of the broken step, its loss
  std::int64_t correct = 0, steps = 0;
  std::int64_t broken = -1;  // the first step whose loss was not finite, by its place in `steps`
  std::int32_t stop = 0;     // 1 from there on: updates are to be left out
  std::int32_t row = 0;      // of the table, the next step's
};

struct StepTableSpec {
  std::int64_t row_bytes = 0;
  auto operator<=>(const StepTableSpec&) const = default;
  std::string str() const { return "step_table:row" + std::to_string(row_bytes); }
};

// Bytes [offset, offset + bytes) of a row, and where they go.
struct RowPart {
  void* to = nullptr;
  std::int32_t offset = 0, bytes = 0;
};
inline constexpr std::size_t most_row_parts = 8;

struct StepCountSpec {
  std::int64_t n = 1, classes = 2;
  std::int64_t images = 1;         // of the whole batch
  bool first = true, last = true;  // part of it
  auto operator<=>(const StepCountSpec&) const = default;
  std::string str() const;
};

struct StepStateKernels {
  // parts: at most most_row_parts.
  void (*advance)(Context&, const StepTableSpec&, const void* table, void* totals,
                  std::span<const RowPart> parts);
  void (*count)(Context&, const StepCountSpec&, const void* probs, const void* labels,
                const void* loss, void* totals);
};

HAC_BACKENDS(StepStateKernels, step_state)

}  // namespace hac
