// Stands in for conv2d_onednn_cpu.cpp in a build without oneDNN: convolutions are never direct.

#include "kernels/ops/conv2d_cpu.h"

namespace hac::cpu {

std::unique_ptr<ConvPlan> onednn_plan(Library&, const Conv2dSpec&) { return nullptr; }

}  // namespace hac::cpu
