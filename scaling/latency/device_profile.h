#pragma once
// What a device model (device_model.h) knows of a chip: a few figures, each with the place that it
// comes from. A profile is a JSON file; those in profiles/ are built in.

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/device/capture.h"
#include "engine/io/embedded.h"
#include "engine/io/fields.h"

namespace hac {

enum class Processor : std::uint8_t { gpu, cpu };
template <>
inline constexpr std::string_view enum_names<Processor>[] = {"gpu", "cpu"};

// Where each figure comes from: a data sheet, or "assumption: ..." for what no data sheet has.
struct ProfileSource {
  std::string units, peak_gmacs, bandwidth_gbs, cache_kib, tile, channel_block, launch_us;

  Fields fields();
};

// By the type of the activations.
struct PeakRates {
  double f32 = 1;
  std::optional<double> bf16, f16;

  std::optional<double> of(Dtype dtype) const;
  PeakRates times(double factor) const;
  Fields fields();
};

// eager: by a framework, one by one; graph: replayed as they were recorded.
struct LaunchOverhead {
  std::optional<double> eager, graph;

  std::optional<double> of(LaunchMode mode) const {
    return mode == LaunchMode::eager ? eager : graph;
  }
  Fields fields();
};

struct DeviceProfile {
  std::string name;                      // "Jetson AGX Xavier"
  std::optional<std::string> cuda_name;  // as CUDA calls the device: "NVIDIA H100 80GB HBM3"
  Processor processor = Processor::gpu;
  std::int64_t units = 1;  // that work side by side: streaming multiprocessors, or cores
  // 10^9 multiply-accumulates a second of all units in matrix products, in 16 bits on tensor cores
  // where there are some. That of f32 is also the rate of what is no product, whatever its type.
  PeakRates peak_gmacs;
  double bandwidth_gbs = 1;            // of memory, 10^9 bytes a second
  double cache_kib = 1;                // of the last level
  std::array<std::int64_t, 2> tile{};  // of a product, that one unit computes: rows (positions of
                                       // the output map) and columns (output channels)
  std::int64_t channel_block = 1;      // input channels are padded to a multiple of it
  LaunchOverhead launch_us;            // of one kernel
  LaunchMode default_launch = LaunchMode::eager;
  ProfileSource source;

  Fields fields();
};

// Throw ConfigError naming the key: one that is unknown or missing, a figure that is not above
// zero, no overhead of the default launch, an empty source. `what` is what errors call it.
DeviceProfile device_profile_from_json(const std::string& text, const std::string& what);
void validate(const DeviceProfile& profile, const std::string& what);
std::string to_json(const DeviceProfile& profile);
// With so many of its units: a processor of which a process has some of the cores.
DeviceProfile with_units(DeviceProfile profile, std::int64_t units);

// A built-in name, or a file (when it ends in .json or holds a '/'). Throws ConfigError that lists
// the names with the nearest, IoError.
DeviceProfile load_device_profile(const std::string& name_or_path);
std::vector<std::string> device_profile_names();
std::vector<std::string> gpu_profile_names();
// The built-in one of a device whose Runtime::name() is this: of its CUDA name, with as many
// multiprocessors as the profile has units. None: no profile fits.
std::optional<DeviceProfile> profile_of_device(const std::string& name);
std::span<const EmbeddedFile> builtin_profiles();

}  // namespace hac
