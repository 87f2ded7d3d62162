#pragma once
// Timing many networks for a latency model, and one layer at many widths for its staircase.

#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "scaling/latency/latency.h"
#include "scaling/latency/staircase.h"
#include "scaling/measure/measure.h"

namespace hac {

struct NetworksTiming {
  MeasureOptions measure;
  int rounds = 5;               // over all networks, of a part of the runs each, two at least
  bool allow_unsteady = false;  // takes times that a busy machine disturbed
  double patience = 30;         // seconds of pauses for it, in all, before giving up
  std::function<void(std::size_t)> done{};  // told how many networks that makes, of whole rounds
};

// Other work only adds time: the faster half of the rounds counts, their median of each time, from
// the least low_ms to the most high_ms.
NetworkTiming of_rounds(std::vector<NetworkTiming> rounds);

// time_network() of each, in an order that differs from round to round, so that a slow spell of the
// machine does not meet all runs of a network. Waits for a busy machine; throws DeviceError where
// it stays so and that is not allowed.
std::vector<TimedNetwork> time_networks(const std::vector<Architecture>& nets,
                                        const TensorOptions& where,
                                        const NetworksTiming& options = {});

struct LayerTiming {
  int rounds = 6;                                  // over all widths, in another order each
  MeasureOptions measure{.runs = 5, .warmup = 2};  // each time's median
  // After which no round begins but the first three, that error bars need.
  double seconds = std::numeric_limits<double>::infinity();
};

// The network with another width `index`. Throws ConfigError for what is none.
Architecture with_width(const Architecture& arch, int index, std::int64_t width);

// The layer that owns width `index` of the architecture at each of these widths, the others as they
// are. Its time is that inside runs of the whole network, because a layer alone finds its weights
// and its input in the cache and does not add up to a network (specification 1.7 #25); networks are
// built one by one in an order that differs from round to round, so that neither a drift nor a
// disturbance follows the width. Of each width the faster half of its rounds count, their median
// with the least and the most. `done` is told of each
// network. Throws ConfigError for a width that gives no network.
std::vector<WidthTime> time_layer_widths(const Architecture& arch, int index,
                                         const std::vector<std::int64_t>& widths,
                                         const TensorOptions& where,
                                         const LayerTiming& options = {},
                                         const std::function<void(std::size_t)>& done = {});

// Whether one more channel of width `index` alone is a network: no group forbids it.
bool can_widen_alone(const Architecture& arch, int index);
// The layers with the most multiply-accumulates, of each kind and size of image one: at most
// `count`, as indices of widths(arch). Those that can widen alone.
std::vector<int> main_layers(const Architecture& arch, int count);

}  // namespace hac
