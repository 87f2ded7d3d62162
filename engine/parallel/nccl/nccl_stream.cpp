#include "engine/parallel/nccl/nccl_stream.h"

#include "kernels/cuda/library.h"

namespace hac {

cudaStream_t nccl_stream(Context& ctx) { return ctx.cuda().stream; }

}  // namespace hac
