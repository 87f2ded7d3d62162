#pragma once
// Work that may run beside other work of its device. On a second stream: a small convolution fills
// a part of a large GPU, and the gradient of its weights and that of its input need not wait for
// each other. And the start of a kernel beside the end of the one before it.

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "engine/io/fields.h"
#include "kernels/core/context.h"

namespace hac {

// streams: of a recorded training step, gradients of weights and of inputs. launches: own kernels
// are started before the one before them has ended (CUDA's programmatic dependent launch).
enum class Overlap : std::uint8_t { none, streams, launches, both };
template <>
inline constexpr std::string_view enum_names<Overlap>[] = {"none", "streams", "launches", "both"};

// For this thread, and its context of the device, from now on (before: streams). The bits are the
// same. Throws ConfigError where launches are asked of the CPU, or of a GPU below compute
// capability 9.0; under simt, which starts one kernel after the other, they change nothing.
void set_overlap(Device device, Overlap which);

// A second context of the device, with the plan options of this thread's current one as they are
// now; null where set_overlap left streams out, or the device has one.
std::unique_ptr<Context> second_context(Device device);

// While it lives, overlap() of this thread uses this context, which may be null.
class OverlapScope {
 public:
  explicit OverlapScope(Context* second);
  ~OverlapScope();
  OverlapScope(const OverlapScope&) = delete;
  OverlapScope& operator=(const OverlapScope&) = delete;

 private:
  Context* before_;
};

// Two pieces of work of the device of which neither needs what the other does: `aside` on the
// second context of an OverlapScope, beside `here`; outside of one first `aside`, then `here`. What
// the device is given afterwards begins when both are done. Neither makes or frees tensors: memory
// that one frees could be the other's next.
void overlap(Device device, const std::function<void()>& aside, const std::function<void()>& here);

}  // namespace hac
