#pragma once
// A batch of views as a device makes squares of them: its bytes in the form of StagedImage
// (kernels/ops/augment.h). What is pending in a view is left to the device; of its image the pixels
// that are needed for it are copied, and nothing else.

#include <cstdint>

#include "data/image/preprocessing.h"
#include "data/image/view.h"
#include "kernels/ops/augment.h"

namespace hac {

// What a square of this many channels and this side may take: four times its own bytes, and tables.
// The crop of a photograph that libjpeg scales has twice the side at most, but for its longer one.
std::int64_t most_staged_bytes(std::int64_t images, const Preprocessing& preprocessing);

// Images [first, end) of a batch, whose places depend on nothing else: threads may share one.
class StagedBatch {
 public:
  // At `to`, which is aligned to 16 bytes and has most_staged_bytes().
  StagedBatch(void* to, std::int64_t images, std::int64_t first,
              const Preprocessing& preprocessing);
  // The next image. A view that takes more, has other channels or more colour steps than a
  // StagedImage holds is rendered first: the same pixels. Throws ShapeError for a view of another
  // size than the preprocessing's, of more than most_erased boxes, and as View::resample() does.
  void add(View view, std::int32_t label);

  // Bytes that were written, counted from the batch's begin; the StagedImage of all lie before all
  // others.
  struct Range {
    std::int64_t begin = 0, end = 0;
  };
  static Range records(std::int64_t images) {
    return {0, images * static_cast<std::int64_t>(sizeof(StagedImage))};
  }
  Range others() const { return others_; }

 private:
  StagedAxis put(const View::Axis& axis, const ResizeAxis& resize);
  std::int64_t put(const SampleView& image, const Box& part);
  std::int64_t take(std::int64_t bytes);

  std::uint8_t* const to_;
  const std::int64_t channels_, side_;
  std::int64_t next_;
  Range others_;
};

}  // namespace hac
