#pragma once
// Batch norms folded into the convolution before them:
//   w' = w * gamma / sqrt(var + eps), b' = (b - mean) * gamma / sqrt(var + eps) + beta
// one after the other where several follow, in double precision, each weight rounded once a norm.

#include <map>
#include <string>

#include "engine/tensor/tensor.h"
#include "models/arch/graph.h"

namespace hac {

// A tensor of Model::state(), plain, on the host and shared with nothing.
Tensor host_copy(const std::map<std::string, Tensor>& state, const std::string& name);

struct ConvWeights {
  Tensor weight, bias;  // (k, c / groups, r, s) and (k), zeros where there is none; on the host
};
// Of a convolution of fuse(), with op.folded in it.
ConvWeights folded_weights(const std::map<std::string, Tensor>& state, const Op& op);

}  // namespace hac
