#pragma once

namespace hac {

// Of all threads, since they were taken last; what a recording holds counts when it is recorded.
struct NcclCalls {
  int exchanges = 0, gathers = 0, destroyed = 0;
};
NcclCalls take_nccl_calls();

}  // namespace hac
