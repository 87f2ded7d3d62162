#pragma once
// What a network said of each image of a batch, in rows of a table that the host reads once.
//
// Of image i, its label l and x = logits[i], with p = softmax(x) in double precision:
//   guess = the lowest j with the largest x[j], NaNs left out; 0 where nothing is larger than
//           -infinity
//   rank = #{j : x[j] > x[l], or x[j] = x[l] and j < l}; a NaN is above and below nothing, and
//          counts
//   confidence = p[guess]; loss = -ln p[l]; brier = sum_j (p[j] - [j = l])^2 (Brier 1950)
// is row first + i of predictions. Of a label outside [0, classes) all but guess and confidence
// are NaN, and rank is classes.
//
// Shapes: logits (n, classes) plain, of the spec's dtype; labels (n) i32; first () i64; predictions
// (rows) of Prediction.

#include <string>

#include "kernels/core/context.h"
#include "kernels/core/table.h"
#include "kernels/core/types.h"

namespace hac {

// As it lies in a device's memory.
struct Prediction {
  std::int32_t label = 0;
  std::int32_t guess = 0;
  std::int32_t rank = 0;  // classes before the label's: below k is a hit among the top k
  std::int32_t unused = 0;
  double confidence = 0;
  double loss = 0;
  double brier = 0;
};

struct PredictionsSpec {
  Dtype dtype = Dtype::f32;
  std::int64_t n = 1, classes = 2;
  auto operator<=>(const PredictionsSpec&) const = default;
  std::string str() const;  // "predictions:f32,n128c10"
};

struct PredictionsKernels {
  void (*write)(Context&, const PredictionsSpec&, const void* logits, const void* labels,
                const void* first, void* predictions);
};

HAC_BACKENDS(PredictionsKernels, predictions)

}  // namespace hac
