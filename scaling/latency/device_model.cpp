#include "scaling/latency/device_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "engine/io/fields_json.h"
#include "kernels/core/error.h"
#include "scaling/latency/latency_parts.h"

namespace hac {

namespace {

constexpr std::int64_t most_slices = 64;

// A kernel as the header describes it.
struct Kernel {
  std::int64_t rows = 1, columns = 1, depth = 1;
  std::int64_t padded_depth = 1;
  std::int64_t groups = 1;
  bool product = false;     // of matrices
  bool whole_rows = false;  // whose tiles have all their rows
  std::int64_t slices = 1;  // at most, of the depth

  double macs() const {
    return static_cast<double>(rows * columns) * static_cast<double>(depth * groups);
  }
};

std::int64_t padded(std::int64_t channels, const DeviceProfile& p) {
  const bool image = p.processor == Processor::cpu && channels <= 3;
  return image ? channels : round_up(channels, p.channel_block);
}

// Of the gradient of a convolution's weights.
Kernel weights_kernel_of(const Conv2dSpec& s) {
  const std::int64_t positions = s.n * s.oh() * s.ow(), window = s.r * s.s;
  Kernel kernel{.rows = window * (s.c / s.groups),
                .columns = s.k / s.groups,
                .depth = positions,
                .padded_depth = positions,
                .groups = s.groups,
                .product = true,
                .whole_rows = true,
                .slices = most_slices};
  if (s.depthwise()) {
    kernel.rows = window;
    kernel.columns = s.k;
    kernel.groups = 1;
    kernel.product = kernel.whole_rows = false;
  }
  return kernel;
}

Kernel kernel_of(const Conv2dSpec& s, const DeviceProfile& p) {
  if (s.pass == Pass::backward_weights) return weights_kernel_of(s);
  const std::int64_t rows = s.n * s.oh() * s.ow(), window = s.r * s.s, c = s.c / s.groups;
  if (s.depthwise()) {
    return {.rows = rows, .columns = s.k, .depth = window, .padded_depth = window};
  }
  if (s.pass == Pass::backward_data) {
    const std::int64_t parts = s.stride * s.stride, k = s.k / s.groups;
    return {.rows = rows * parts,
            .columns = c,
            .depth = ceil_div(window * k, parts),
            .padded_depth = ceil_div(window * padded(k, p), parts),
            .groups = s.groups,
            .product = true,
            .whole_rows = true};
  }
  return {.rows = rows,
          .columns = s.k / s.groups,
          .depth = window * c,
          .padded_depth = window * padded(c, p),
          .groups = s.groups,
          .product = true,
          .whole_rows = true};
}

Kernel kernel_of(const LinearSpec& s, const DeviceProfile& p) {
  return {.rows = s.n,
          .columns = s.out,
          .depth = s.in,
          .padded_depth = padded(s.in, p),
          .product = true};
}

Kernel kernel_of(const Pool2dSpec& s, const DeviceProfile&) {
  const bool global = s.mode == PoolMode::global_avg;
  const std::int64_t window = global ? s.h * s.w : s.kernel * s.kernel;
  return {.rows = s.n * s.oh() * s.ow(), .columns = s.c, .depth = window, .padded_depth = window};
}

// Element by element.
Kernel kernel_of(const auto& s, const DeviceProfile&) {
  const Shape shape = s.out_shape();
  return {.rows = shape[0] * (shape.rank() == 4 ? shape[2] * shape[3] : 1), .columns = shape[1]};
}

Fields fit_fields(double& scale, LaunchMode& launch, DeviceProfile& profile) {
  return Fields()
      .add("scale", scale, {.low = 0, .above = true})
      .add("launch", launch)
      .add("profile", profile);
}

// What one unit multiplies of so many tiles, in steps of a tile: waves times depth.
std::int64_t longest_unit(const Kernel& k, std::int64_t tiles, std::int64_t units) {
  std::int64_t least = ceil_div(tiles, units) * k.padded_depth;
  for (std::int64_t slices = 2; slices <= k.slices; ++slices) {
    least = std::min(least, ceil_div(tiles * slices, units) * ceil_div(k.padded_depth, slices));
  }
  return least;
}

bool costs_nothing(const OpSpec& op) {
  return std::holds_alternative<FlattenSpec>(op) || std::holds_alternative<DropoutSpec>(op);
}

}  // namespace

LatencyPart LatencyParts::bound() const {
  if (launch >= total() / 2) return LatencyPart::launch;
  if (compute >= traffic()) {
    return tail() > arithmetic ? LatencyPart::tail : LatencyPart::arithmetic;
  }
  return weights >= activations ? LatencyPart::weights : LatencyPart::activations;
}

DeviceModel::DeviceModel(DeviceProfile profile, LaunchMode launch, Dtype dtype)
    : profile_(std::move(profile)), launch_(launch) {
  if (!profile_.launch_us.of(launch)) {
    throw ConfigError(fmt::format("device profile '{}' 'launch_us.{}': expected a value, got none",
                                  profile_.name, hac::to_string(launch)));
  }
  gmacs(dtype);
  source = LatencySource{.device = profile_.name + " (modelled)",
                         .dtype = std::string(name_of(dtype)),
                         .library = fmt::format("roofline, {} launch", hac::to_string(launch))};
}

double DeviceModel::gmacs(Dtype dtype) const {
  if (const std::optional<double> peak = profile_.peak_gmacs.of(dtype)) return *peak;
  throw ConfigError(fmt::format("device profile '{}' 'peak_gmacs.{}': expected a value, got none",
                                profile_.name, name_of(dtype)));
}

LatencyParts DeviceModel::explain(const OpSpec& op) const {
  if (costs_nothing(op)) return {};
  const Kernel k = std::visit([&](const auto& s) { return kernel_of(s, profile_); }, op);
  const Cost cost = op.cost();
  const auto [tile_rows, columns] = profile_.tile;
  const std::int64_t rows = k.whole_rows ? tile_rows : std::min(tile_rows, k.rows);
  const std::int64_t tiles = k.groups * ceil_div(k.rows, rows) * ceil_div(k.columns, columns);

  // 10^6 a millisecond.
  const double peak = 1e6 * gmacs(k.product ? op.dtype() : Dtype::f32);
  const double bandwidth = 1e6 * profile_.bandwidth_gbs;
  const double done = static_cast<double>(profile_.units * rows * columns) *
                      static_cast<double>(longest_unit(k, tiles, profile_.units));
  const auto bytes = static_cast<double>(cost.activation_bytes);
  const bool cached = bytes <= 1024 * profile_.cache_kib;
  return {.launch = scale * *profile_.launch_us.of(launch_) / 1e3,
          .arithmetic = scale * k.macs() / peak,
          .compute = scale * done / peak,
          .weights = scale * static_cast<double>(cost.weight_bytes) / bandwidth,
          .activations = cached ? 0 : scale * bytes / bandwidth};
}

Fields DeviceModel::fields() { return fit_fields(scale, launch_, profile_); }

std::shared_ptr<LatencyModel> device_model_from_json(const nlohmann::json& json, Fields common,
                                                     const std::optional<LatencySource>& source) {
  const std::string what = "device model";
  double scale = 1;
  LaunchMode launch{};
  DeviceProfile profile;
  common.add(fit_fields(scale, launch, profile));
  read_json(json, common, what);
  validate(profile, what + " profile");
  const Dtype dtype = source ? parse_dtype(source->dtype) : Dtype::f32;
  const auto model = std::make_shared<DeviceModel>(std::move(profile), launch, dtype);
  model->scale = scale;
  const std::string difference = source ? first_difference(*model->source, *source) : "";
  if (difference.empty()) return model;
  throw ConfigError(fmt::format("{} 'measured_on' {}", what, difference));
}

std::shared_ptr<const DeviceModel> device_model(const std::string& name_or_path, Dtype dtype) {
  std::string name = name_or_path, mode;
  const std::size_t colon = name.rfind(':');
  if (colon != std::string::npos && name.find('/', colon) == std::string::npos) {
    mode = name.substr(colon + 1);
    name.resize(colon);
  }
  DeviceProfile profile = load_device_profile(name);
  const LaunchMode launch =
      name.size() == name_or_path.size()
          ? profile.default_launch
          : parse<LaunchMode>(mode, fmt::format("launch of device model '{}'", name_or_path));
  return std::make_shared<DeviceModel>(std::move(profile), launch, dtype);
}

bool computes_in(const std::string& name_or_path, Dtype dtype) {
  return device_model(name_or_path)->profile().peak_gmacs.of(dtype).has_value();
}

}  // namespace hac
