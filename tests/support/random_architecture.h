#pragma once
// A random valid Architecture, for property tests: a function of the seed alone.

#include <random>
#include <string>

#include "models/arch/architecture.h"

namespace hac {

class RandomArchitecture {
 public:
  explicit RandomArchitecture(std::uint64_t seed) : random_(seed) {}

  Architecture operator()() {
    arch_ = {.name = "random",
             .channels = pick(1, 4),
             .resolution = pick(9, 40),
             .classes = pick(2, 20)};
    size_ = arch_.resolution;
    const int family = static_cast<int>(pick(0, 3));
    if (family != 0) stem();
    const std::int64_t stages = pick(1, 3);
    for (stage_ = 1; stage_ <= stages; ++stage_) {
      const std::int64_t units = pick(1, 3);
      unit_ = 0;
      for (std::int64_t i = 0; i < units; ++i) unit(family);
      arch_.stage_ends.push_back(static_cast<int>(arch_.layers.size()));
      if (family == 0 && size_ >= 2 && coin()) pool();
    }
    head();
    return arch_;
  }

  std::int64_t pick(std::int64_t low, std::int64_t high) {
    return std::uniform_int_distribution<std::int64_t>(low, high)(random_);
  }
  bool coin() { return pick(0, 1) == 1; }

 private:
  // Few distinct widths, so that identity shortcuts are as common as projections.
  std::int64_t width() { return 4 * pick(1, 4); }
  void shrink(std::int64_t stride) { size_ = (size_ - 1) / stride + 1; }

  void stem() {
    const std::int64_t stride = pick(1, 2);
    arch_.layers.push_back(Conv{.name = "conv1", .out = width(), .stride = stride});
    if (coin())
      arch_.layers.push_back(
          BatchNorm{.name = "bn1", .activation = coin() ? Activation::relu : Activation::none});
    shrink(stride);
  }

  void plain() {
    const std::int64_t kernel = 2 * pick(0, 2) + 1, stride = pick(1, 2);
    const std::string prefix = "stage" + std::to_string(stage_) + ".";
    if (pick(0, 3) == 0) {
      arch_.layers.push_back(
          DepthwiseConv{.name = prefix + std::to_string(unit_++), .bias = coin()});
    }
    arch_.layers.push_back(Conv{.name = prefix + std::to_string(unit_++),
                                .out = width(),
                                .kernel = kernel,
                                .stride = stride,
                                .pad = kernel / 2,
                                .bias = coin()});
    shrink(stride);
    const bool norm = coin(), fused = coin();
    if (norm) {
      arch_.layers.push_back(BatchNorm{.name = prefix + std::to_string(unit_++),
                                       .activation = fused ? Activation::relu : Activation::none});
      unit_ += fused;
    }
    if (coin()) {
      arch_.layers.push_back(Activate{});
      ++unit_;
    }
  }

  void unit(int family) {
    if (family == 0) return plain();
    const std::string name = "layer" + std::to_string(stage_) + "." + std::to_string(unit_++);
    const std::int64_t stride = pick(1, 3) == 3 ? 2 : 1;
    if (family == 1) {
      arch_.layers.push_back(PreactBlock{name, width(), width(), stride});
    } else if (family == 3) {
      inverted(name, stride);
    } else if (coin()) {
      arch_.layers.push_back(BasicBlock{name, width(), width(), stride});
    } else {
      arch_.layers.push_back(Bottleneck{name, width(), width(), width(), stride});
    }
    shrink(stride);
  }

  void inverted(const std::string& name, std::int64_t stride) {
    const std::int64_t mid = pick(0, 2) * width(), kernel = coin() ? 3 : 5;
    const std::int64_t out = stride == 1 && coin() ? 0 : width();
    if (coin()) {
      arch_.layers.push_back(InvertedResidual{name, mid, out, kernel, stride});
    } else {
      arch_.layers.push_back(MBConv{.name = name,
                                    .mid = mid,
                                    .out = out,
                                    .kernel = kernel,
                                    .stride = stride,
                                    .squeeze = pick(1, 5),
                                    .p = 0.1f * static_cast<float>(pick(0, 3))});
    }
  }

  void pool() {
    arch_.layers.push_back(Pool{.kind = coin() ? PoolMode::max : PoolMode::avg});
    size_ /= 2;
  }

  void head() {
    if (coin()) arch_.layers.push_back(Activate{});
    if (coin()) arch_.layers.push_back(Pool{.kind = PoolMode::global_avg});
    if (coin()) arch_.layers.push_back(Dropout{.p = 0.1f * static_cast<float>(pick(0, 9))});
    arch_.layers.push_back(Flatten{});
    if (coin()) {
      arch_.layers.push_back(Linear{.name = "hidden", .out = pick(1, 30), .bias = coin()});
      arch_.layers.push_back(Activate{});
    }
    arch_.layers.push_back(Linear{.name = "classifier"});
  }

  std::mt19937_64 random_;
  Architecture arch_;
  std::int64_t size_ = 0, stage_ = 0, unit_ = 0;
};

}  // namespace hac
