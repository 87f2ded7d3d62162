// Meters that the kernel shows as files: INA3221 on Jetson boards, RAPL on PCs. Rails and packages
// are found by their labels, never by their index.

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <condition_variable>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "kernels/core/error.h"
#include "scaling/measure/power_meters.h"

namespace hac {
namespace {

namespace fs = std::filesystem;

// The first line of a file; attributes are one short line.
std::string read_line(const std::string& path) {
  errno = 0;
  std::ifstream in(path);
  char line[256] = {};
  if (!in || !in.getline(line, sizeof line)) {
    const char* why = errno != 0 ? std::strerror(errno) : "empty or too long";
    const char* hint = errno == EACCES ? " (hint: only root may read it)" : "";
    throw DeviceError(fmt::format("'{}': {}{}", path, why, hint));
  }
  return line;
}

std::int64_t read_number(const std::string& path) {
  const std::string text = read_line(path);
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw DeviceError(fmt::format("'{}': expected a whole number, got '{}'", path, text));
  }
  return value;
}

// Paths directly under `folder` whose name has this beginning, sorted; none if it is not there.
std::vector<std::string> entries(const fs::path& folder, std::string_view prefix) {
  std::vector<std::string> found;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    if (entry.path().filename().string().starts_with(prefix))
      found.push_back(entry.path().string());
  }
  std::sort(found.begin(), found.end());
  return found;
}

// One supply line of the board: power = value * [factor] * scale.
struct Rail {
  std::string label, value, factor;  // files; factor may be empty
  double scale = 1;
  double watts() const {
    const auto v = static_cast<double>(read_number(value));
    return scale * v * (factor.empty() ? 1.0 : static_cast<double>(read_number(factor)));
  }
};

bool is_rail(const std::string& label) {
  return !label.empty() && label != "NC" && label != "sum of shunt voltages";
}

// JetPack 5 and later: volts in mV, amperes in mA.
void add_hwmon_rails(const std::string& chip, std::vector<Rail>& rails) {
  for (const std::string& monitor : entries(chip + "/hwmon", "hwmon")) {
    for (const std::string& path : entries(monitor, "in")) {
      if (!path.ends_with("_label")) continue;
      const std::string label = read_line(path);
      const std::size_t at = monitor.size() + 3;  // behind "/in"
      const std::string n = path.substr(at, path.size() - at - std::strlen("_label"));
      std::error_code none;
      const std::string current = monitor + "/curr" + n + "_input";
      const std::string enable = monitor + "/in" + n + "_enable";
      if (!is_rail(label) || !fs::exists(current, none)) continue;
      if (fs::exists(enable, none) && read_number(enable) == 0) continue;
      rails.push_back({.label = label,
                       .value = monitor + "/in" + n + "_input",
                       .factor = current,
                       .scale = 1e-6});
    }
  }
}

// JetPack 4: power in mW.
void add_iio_rails(const std::string& chip, std::vector<Rail>& rails) {
  for (const std::string& monitor : entries(chip, "iio:device")) {
    const std::string prefix = monitor + "/rail_name_";
    for (const std::string& path : entries(monitor, "rail_name_")) {
      const std::string label = read_line(path);
      if (!is_rail(label)) continue;
      rails.push_back({.label = label,
                       .value = monitor + "/in_power" + path.substr(prefix.size()) + "_input",
                       .factor = "",
                       .scale = 1e-3});
    }
  }
}

// Joules of a power in watts. A sample that fails is left out; the one that the caller asks for
// throws.
class Integral {
 public:
  Integral(std::function<double()> watts, const MeterOptions& options)
      : watts_(std::move(watts)), now_(options.now ? options.now : steady_seconds) {
    last_watts_ = watts_();
    last_time_ = now_();
    if (options.sample_seconds > 0) {
      const std::chrono::duration<double> period(options.sample_seconds);
      sampler_ = std::jthread([this, period](const std::stop_token& stop) {
        std::unique_lock lock(mutex_);
        while (!wake_.wait_for(lock, stop, period, [] { return false; }) &&
               !stop.stop_requested()) {
          try {
            sample();
          } catch (const DeviceError&) {  // the next trapezoid spans the gap
          }
        }
      });
    }
  }

  double joules() {
    const std::lock_guard lock(mutex_);
    sample();
    return joules_;
  }

 private:
  void sample() {
    const double watts = watts_(), time = now_();
    joules_ += (watts + last_watts_) / 2 * (time - last_time_);
    last_watts_ = watts;
    last_time_ = time;
  }

  std::function<double()> watts_, now_;
  std::mutex mutex_;
  std::condition_variable_any wake_;
  double joules_ = 0, last_watts_ = 0, last_time_ = 0;
  std::jthread sampler_;  // last: stopped and joined before what it uses goes
};

struct Package {
  std::string file;
  std::int64_t range = 0, last = 0;  // microjoules
};

// Microjoules since the last call, across a wrap of the counter.
std::int64_t advance(Package& p) {
  const std::int64_t now = read_number(p.file);
  if (now < 0 || now > p.range) {
    throw DeviceError(fmt::format("'{}': expected 0 to {}, got {}", p.file, p.range, now));
  }
  const std::int64_t used = now >= p.last ? now - p.last : p.range - p.last + now;
  p.last = now;
  return used;
}

}  // namespace

PowerMeter open_ina3221(const MeterOptions& options) {
  const fs::path drivers = fs::path(options.sysfs_root) / "sys/bus/i2c/drivers";
  std::vector<Rail> rails;
  for (const std::string& chip : entries(drivers / "ina3221", "")) {
    add_hwmon_rails(chip, rails);
  }
  for (const std::string& chip : entries(drivers / "ina3221x", "")) add_iio_rails(chip, rails);
  if (rails.empty()) {
    throw DeviceError(fmt::format("no rails under '{}'", drivers.string()));
  }
  // Where one rail feeds the whole module the others are parts of it.
  const auto total = std::find_if(rails.begin(), rails.end(), [](const Rail& r) {
    return r.label == "VDD_IN" || r.label == "POM_5V_IN";
  });
  const bool whole = total != rails.end();
  if (whole) rails = std::vector<Rail>{*total};
  std::string covers;
  for (const Rail& r : rails) covers += (covers.empty() ? "" : " + ") + r.label;
  covers += whole ? ": module total" : ": sum of rails";
  const auto watts = [rails] {
    double sum = 0;
    for (const Rail& r : rails) sum += r.watts();
    return sum;
  };
  // Unreadable or malformed: now, not in the measurement.
  const auto integral = std::make_shared<Integral>(watts, options);
  return {.name = "INA3221",
          .covers = covers,
          .update = fmt::format("power in mW, sampled every {:g} ms", options.sample_seconds * 1e3),
          .joules = [integral] { return integral->joules(); }};
}

PowerMeter open_rapl(const MeterOptions& options) {
  const fs::path zones = fs::path(options.sysfs_root) / "sys/class/powercap";
  std::vector<Package> packages;
  for (const std::string& zone : entries(zones, "intel-rapl:")) {
    if (!read_line(zone + "/name").starts_with("package")) continue;  // core, dram, psys
    packages.push_back({.file = zone + "/energy_uj",
                        .range = read_number(zone + "/max_energy_range_uj"),
                        .last = 0});
    advance(packages.back());
  }
  if (packages.empty()) {
    throw DeviceError(fmt::format("no package under '{}'", zones.string()));
  }
  const std::size_t count = packages.size();
  const auto state = std::make_shared<std::pair<std::vector<Package>, std::int64_t>>();
  state->first = std::move(packages);
  const auto joules = [state] {
    for (Package& p : state->first) state->second += advance(p);
    return static_cast<double>(state->second) * 1e-6;
  };
  return {.name = "RAPL",
          .covers = count == 1 ? "package" : fmt::format("{} packages", count),
          .update = "counter in uJ, updated about every ms",
          .joules = joules};
}

}  // namespace hac
