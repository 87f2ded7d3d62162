#pragma once
// How long a training step takes on a GPU that is not here, part by part: what it asks for
// (step_work.h) by a profile's figures (device_profile.h). Two answers, microseconds:
//
//   floor       no step with these launches is faster: products MACs / peak, own kernels bytes /
//               bandwidth, both of the data sheet, and a launch what an empty kernel was measured
//               to take
//   prediction  products max(compute / their share of the peak, traffic / the share of bandwidth),
//               with the tiles and waves of device_model.h, each of their tensors from memory; own
//               kernels bytes / (share * bandwidth); a launch the profile's figure
//
// Parts follow each other, so they add up. The step is replayed as a graph: no time of the host. Of
// a step whose weights' and inputs' gradients run side by side it is no more than an upper bound.

#include <array>
#include <cstdint>

#include "scaling/latency/device_model.h"
#include "scaling/latency/step_trace.h"
#include "scaling/latency/step_work.h"

namespace hac {

// Every figure that no profile has. "H200": bench/results/2026-11-26-h200.md.
struct StepAssumptions {
  // Of the peak, what a product reaches whose tiles and waves are full. Chosen so that the median
  // of vgg11's, resnet18's and resnet50's convolutions in bf16 at batch 128, tiles and waves
  // included, is near that of 31 of the zoo's on the H200: 0.42, 0.41 and 0.37 of their floors,
  // forward and of both gradients, by cuDNN's first choice of plan. (A product of 8192 reaches
  // 0.80.)
  double product_share = 0.42;
  // Of the bandwidth. H200: the own kernel that copies 16 bytes a thread moves 3,917 of 4,800 GB/s.
  double bandwidth_share = 0.82;
  // Of the bandwidth, in sums, whose blocks end in a sum of their own and wait for the last.
  // Assumed.
  double sum_share = 0.6;
  // Of a kernel in a graph that does nothing. H200: 160 of them in 86 us.
  double least_launch_us = 0.54;
};

// Microseconds.
struct PartTime {
  std::int64_t launches = 0;
  double bytes = 0;  // of own kernels
  double macs = 0;   // of products
  double floor_us = 0, us = 0;
};

struct StepTime {
  std::array<PartTime, 5> parts;  // by StepPart; the last has all launches and their time

  const PartTime& operator[](StepPart part) const { return parts[static_cast<int>(part)]; }
  double floor_us() const;
  double us() const;
  // What can be told apart by a clock on a GPU, each with its launches.
  double products_us() const;
  double own_us() const { return us() - products_us(); }
  double launch_us() const;  // of one
};

class StepModel {
 public:
  // Throws ConfigError for a profile of no GPU, or without a figure for the type or for kernels of
  // a graph.
  StepModel(const DeviceProfile& profile, Dtype dtype, StepAssumptions assumed = {});
  StepTime predict(const StepWork& work) const;

 private:
  double product_us(const OpSpec& op) const;

  DeviceModel model_;
  double peak_;  // MACs a microsecond
  StepAssumptions assumed_;
};

StepTime predict_step(const Architecture& arch, std::int64_t batch, Dtype dtype,
                      const DeviceProfile& profile);

struct EpochImages {
  std::int64_t training = 50000, test = 10000;  // CIFAR-10
};

// Of training and an evaluation on the test set, nothing else: no loading, no files.
struct EpochTime {
  std::int64_t steps = 0, evaluations = 0;  // batches; the last is taken for a whole one
  double step_us = 0, evaluation_us = 0;    // of one

  double seconds() const {
    return (static_cast<double>(steps) * step_us +
            static_cast<double>(evaluations) * evaluation_us) /
           1e6;
  }
};

// With a step that takes step_us. Throws ConfigError for a set without an image.
EpochTime predict_epoch(const Architecture& arch, std::int64_t batch, Dtype dtype,
                        const DeviceProfile& profile, double step_us, EpochImages images = {});

}  // namespace hac
