#pragma once

#include "kernels/core/types.h"
#include "scaling/latency/latency.h"

namespace hac {

// Latency by MACs alone: 1 ms for 100 M.
class MacsLatency final : public LatencyModel {
 public:
  double predict(const OpSpec& op) const override {
    return 1e-8 * static_cast<double>(op.cost().macs);
  }
  bool covers(const OpSpec&) const override { return true; }
  std::string name() const override { return "macs"; }
  using LatencyModel::predict;
};

// A staircase: what MacsLatency says of widths rounded up to a block, after what it takes to start
// an operation.
class StaircaseLatency final : public LatencyModel {
 public:
  explicit StaircaseLatency(std::int64_t block = 16, double launch_ms = 0.01)
      : block_(block), launch_ms_(launch_ms) {}
  double predict(const OpSpec& op) const override {
    const Widths w = op.widths();
    const OpSpec rounded = op.with({round_up(w.in, block_), round_up(w.out, block_)});
    return launch_ms_ + 1e-8 * static_cast<double>(rounded.cost().macs);
  }
  bool covers(const OpSpec&) const override { return true; }
  std::string name() const override { return "staircase"; }
  using LatencyModel::predict;

 private:
  std::int64_t block_;
  double launch_ms_;
};

}  // namespace hac
