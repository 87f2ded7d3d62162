#pragma once
// The latency of a network on a chip that is not here: a roofline with tile and wave quantization
// and what it costs to start each kernel, from the figures of a profile (device_profile.h). Nothing
// is measured, so everything that prints the source of the model says "(modelled)".
//
// An operation is one kernel, which computes `rows` x `columns` sums of `depth` products:
//
//   convolution   rows n oh ow, columns k / groups, depth r s (c / groups), once for each group
//   linear        rows n, columns out, depth in
//   depthwise     rows n oh ow, columns k, depth r s
//   pools         rows n oh ow, columns c, depth the window
//   batch norm, activation, add: rows n h w, columns c, depth 1
//
// and of a convolution's gradients, by the pass of its spec, with stride st:
//
//   of its input     rows n oh ow st^2, columns c / groups, depth r s (k / groups) / st^2
//   of its weights   rows r s c / groups, columns k / groups, depth n oh ow, which may be cut into
//                    up to 64 slices that are computed side by side: as many as take least
//
// c / groups and in are padded to the profile's channel_block (not the image's 3 on a CPU).
//
//   tiles = groups ceil(rows / Tm) ceil(columns / Tn),  waves = ceil(tiles / units)
//   compute = waves Tm Tn depth / (peak / units)
//   traffic = (weight bytes + activation bytes) / bandwidth
//   t = launch + max(compute, traffic)
//
// Only a convolution computes rows that its tile has and the output has not: elsewhere Tm is at
// most `rows`. `arithmetic` is MACs / peak, the tail what tiles and waves add to it. The peak is
// that of the type; of f32 for what is no convolution or linear layer, and for depthwise ones.
// Weights are read from memory in every inference, as all others pass through the cache between two
// uses of a layer's. Activations were just written by the operation before: where input and output
// fit the cache they cost no traffic. Flatten and dropout cost nothing. The time of an operation
// depends on it alone, so times add up.

#include <algorithm>
#include <memory>
#include <optional>
#include <string>

#include "scaling/latency/device_profile.h"
#include "scaling/latency/latency.h"

namespace hac {

enum class LatencyPart : std::uint8_t { launch, tail, arithmetic, weights, activations };
template <>
inline constexpr std::string_view enum_names<LatencyPart>[] = {"launch", "tail", "arithmetic",
                                                               "weights", "activations"};

// What the time of an operation is made of, in milliseconds.
struct LatencyParts {
  double launch = 0;
  double arithmetic = 0, compute = 0;   // of its multiply-adds; of all that tiles and waves do
  double weights = 0, activations = 0;  // to move them

  double tail() const { return compute - arithmetic; }
  double traffic() const { return weights + activations; }
  double total() const { return launch + std::max(compute, traffic()); }
  // The launch where it takes at least half; else, of compute or traffic, whichever takes longer,
  // the larger part.
  LatencyPart bound() const;
};

class DeviceModel final : public LatencyModel {
 public:
  // Throws ConfigError for a launch mode or a type of which the profile has no figure.
  DeviceModel(DeviceProfile profile, LaunchMode launch, Dtype dtype = Dtype::f32);

  using LatencyModel::predict;
  double predict(const OpSpec& op) const override { return explain(op).total(); }
  LatencyParts explain(const OpSpec& op) const;
  bool covers(const OpSpec&) const override { return true; }  // a formula has no edges
  std::string name() const override { return "device"; }
  Fields fields() override;

  const DeviceProfile& profile() const { return profile_; }
  LaunchMode launch() const { return launch_; }

 private:
  double gmacs(Dtype dtype) const;

  DeviceProfile profile_;
  LaunchMode launch_;
};

// Of "NAME[:eager|graph]" or "FILE[:eager|graph]": a built-in profile or a file of one; without a
// mode the profile's default, which is eager for the Jetsons, as the paper ran them. Throws
// ConfigError, which lists the names with the nearest, or IoError.
std::shared_ptr<const DeviceModel> device_model(const std::string& name_or_path,
                                                Dtype dtype = Dtype::f32);
// Whether its profile has a figure of this type. Throws as device_model().
bool computes_in(const std::string& name_or_path, Dtype dtype);

}  // namespace hac
