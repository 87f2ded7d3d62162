#pragma once
// Uniform width (Zagoruyko and Komodakis 2016): C_l' = round_q(w * C_l) for every convolution.

#include "scaling/methods/method.h"

namespace hac {

struct UniformWidthOptions {
  std::int64_t width_multiple = 8;
  bool scale_stem = true;
};

// The largest w >= 1 within the budget. w grows in steps that widen the widest layer by one
// multiple.
ScaledNetwork scale_uniform_width(const Architecture& baseline, const LatencyModel& model,
                                  const Budget& budget, const UniformWidthOptions& options = {});

}  // namespace hac
