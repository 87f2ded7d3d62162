#pragma once

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
  std::string to_json() const override { return "{}"; }
  using LatencyModel::predict;
};

}  // namespace hac
