#include "scaling/latency/device_profile.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <nlohmann/json.hpp>

#include "engine/io/fields_json.h"
#include "engine/io/file.h"
#include "engine/io/named_fields.h"
#include "engine/io/text.h"
#include "kernels/core/error.h"

namespace hac {

namespace {

constexpr std::uint64_t kMaxFileBytes = 1 << 20;
const Bounds above_zero{.low = 0, .above = true};

void not_empty(const std::string& text) {
  if (text.empty()) throw ConfigError("expected text, got none");
}

bool is_path(const std::string& name) {
  return name.ends_with(".json") || name.find('/') != std::string::npos;
}

}  // namespace

Fields ProfileSource::fields() {
  Fields fields =
      HAC_FIELDS(units, peak_gmacs, bandwidth_gbs, cache_kib, tile, channel_block, launch_us);
  for (Field& field : fields) field.details.valid = not_empty;
  return fields;
}

std::optional<double> PeakRates::of(Dtype dtype) const {
  if (dtype == Dtype::f32) return f32;
  return dtype == Dtype::bf16 ? bf16 : dtype == Dtype::f16 ? f16 : std::nullopt;
}

PeakRates PeakRates::times(double factor) const {
  PeakRates rates = *this;
  rates.f32 *= factor;
  for (std::optional<double>* rate : {&rates.bf16, &rates.f16}) {
    if (*rate) **rate *= factor;
  }
  return rates;
}

Fields PeakRates::fields() {
  return Fields()
      .add("f32", f32, above_zero)
      .add("bf16", bf16, above_zero)
      .add("f16", f16, above_zero);
}

Fields LaunchOverhead::fields() {
  return Fields().add("eager", eager, above_zero).add("graph", graph, above_zero);
}

Fields DeviceProfile::fields() {
  return Fields()
      .add("name", name, {.valid = not_empty})
      .add("cuda_name", cuda_name)
      .add("processor", processor)
      .add("units", units, {1, 1 << 20})
      .add("peak_gmacs", peak_gmacs)
      .add("bandwidth_gbs", bandwidth_gbs, above_zero)
      .add("cache_kib", cache_kib, above_zero)
      .add("tile", tile, {1, 1 << 20})
      .add("channel_block", channel_block, {1, 1 << 10})
      .add(HAC_FIELDS(launch_us, default_launch, source));
}

void validate(const DeviceProfile& profile, const std::string& what) {
  check(fields_of(profile), what);
  if (!profile.launch_us.of(profile.default_launch)) {
    throw ConfigError(fmt::format("{} 'launch_us.{}': expected a value, got none", what,
                                  to_string(profile.default_launch)));
  }
}

DeviceProfile device_profile_from_json(const std::string& text, const std::string& what) {
  DeviceProfile profile;
  read_json(parse_json(text, what), profile.fields(), what);
  validate(profile, what);
  return profile;
}

std::string to_json(const DeviceProfile& profile) { return to_json(fields_of(profile)).dump(2); }

DeviceProfile with_units(DeviceProfile profile, std::int64_t units) {
  const double share = static_cast<double>(units) / static_cast<double>(profile.units);
  profile.peak_gmacs = profile.peak_gmacs.times(share);
  profile.units = units;
  profile.source.units = fmt::format("{} of: {}", units, profile.source.units);
  return profile;
}

std::vector<std::string> device_profile_names() {
  std::vector<std::string> names;
  for (const EmbeddedFile& file : builtin_profiles()) names.push_back(file.name);
  return names;
}

std::vector<std::string> gpu_profile_names() {
  std::vector<std::string> names = device_profile_names();
  std::erase_if(names, [](const std::string& name) {
    return load_device_profile(name).processor != Processor::gpu;
  });
  return names;
}

std::optional<DeviceProfile> profile_of_device(const std::string& name) {
  for (const std::string& known : device_profile_names()) {
    const DeviceProfile profile = load_device_profile(known);
    const bool named = profile.cuda_name && name.starts_with(*profile.cuda_name + ", ");
    if (named && name.ends_with(fmt::format(", {} SMs", profile.units))) return profile;
  }
  return std::nullopt;
}

DeviceProfile load_device_profile(const std::string& name_or_path) {
  const std::string what = fmt::format("device profile '{}'", name_or_path.substr(0, 100));
  if (is_path(name_or_path)) {
    return device_profile_from_json(read_file(name_or_path, kMaxFileBytes), what);
  }
  for (const EmbeddedFile& file : builtin_profiles()) {
    if (name_or_path == file.name) return device_profile_from_json(file.text, what);
  }
  const std::vector<std::string> names = device_profile_names();
  throw ConfigError(fmt::format("{}: expected a .json file or one of {} (hint: did you mean {}?)",
                                what, fmt::join(names, ", "), nearest(name_or_path, names)));
}

}  // namespace hac
