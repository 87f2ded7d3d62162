#include "tools/report/scale.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "tools/report/text.h"

namespace hac::report {
namespace {

// The smallest of 1, 2, 5 times a power of ten that is not below the given step.
double nice_step(double step) {
  const double power = std::pow(10.0, std::floor(std::log10(step)));
  for (const double factor : {1.0, 2.0, 5.0})
    if (factor * power >= step * (1 - 1e-9)) return factor * power;
  return 10 * power;
}

std::vector<double> multiples(double lo, double hi, double step) {
  std::vector<double> ticks;
  const double slack = step * 1e-9;
  const double first = std::ceil((lo - slack) / step);
  for (double i = first; i * step <= hi + slack && ticks.size() < 100; ++i)
    ticks.push_back(i == 0 ? 0.0 : i * step);
  return ticks;
}

std::string power_of_ten(int exponent) {
  static const char* digits[] = {"⁰", "¹", "²", "³", "⁴", "⁵", "⁶", "⁷", "⁸", "⁹"};
  std::string text = exponent < 0 ? "10⁻" : "10";
  for (const char c : std::to_string(std::abs(exponent))) text += digits[c - '0'];
  return text;
}

}  // namespace

std::vector<double> nice_ticks(double lo, double hi, int target) {
  double step = nice_step((hi - lo) / std::max(1, target));
  auto ticks = multiples(lo, hi, step);
  // A range that straddles one round value: finer steps until two are inside.
  for (int i = 0; i < 4 && ticks.size() < 2; ++i) {
    step = nice_step(step / 2.5);
    ticks = multiples(lo, hi, step);
  }
  return ticks;
}

std::vector<double> log_ticks(double lo, double hi, int target) {
  if (hi / lo < 3) return nice_ticks(lo, hi, target);
  const int first = static_cast<int>(std::floor(std::log10(lo) - 1e-9));
  const int last = static_cast<int>(std::ceil(std::log10(hi) + 1e-9));
  const auto collect = [&](std::vector<double> factors, int every) {
    std::vector<double> ticks;
    for (int exponent = first; exponent <= last; ++exponent) {
      if (exponent % every != 0) continue;
      for (const double factor : factors) {
        const double tick = factor * std::pow(10.0, exponent);
        if (tick >= lo * (1 - 1e-9) && tick <= hi * (1 + 1e-9)) ticks.push_back(tick);
      }
    }
    return ticks;
  };
  const std::size_t most = std::max(2, target);
  auto ticks = collect({1, 2, 5}, 1);
  if (ticks.size() <= most) return ticks;
  auto decades = collect({1}, 1);
  if (decades.size() < 2) return ticks;
  for (int every = 2; decades.size() > most && every <= last - first; ++every) {
    const auto fewer = collect({1}, every);
    if (fewer.size() < 2) break;
    decades = fewer;
  }
  return decades;
}

std::vector<std::string> tick_labels(const std::vector<double>& ticks, bool log) {
  std::vector<std::string> labels;
  double step = 0;
  for (std::size_t i = 1; i < ticks.size(); ++i) {
    const double gap = ticks[i] - ticks[i - 1];
    step = i == 1 ? gap : std::min(step, gap);
  }
  const int decimals =
      step > 0 ? std::clamp(static_cast<int>(std::ceil(-std::log10(step) - 1e-6)), 0, 9) : 0;
  const auto extreme = [](double tick) {
    return tick != 0 && (std::fabs(tick) < 1e-3 || std::fabs(tick) >= 1e5);
  };
  const bool any_extreme = std::any_of(ticks.begin(), ticks.end(), extreme);
  for (const double tick : ticks) {
    const double exponent = tick > 0 ? std::log10(tick) : 0.5;
    const bool power = std::fabs(exponent - std::round(exponent)) < 1e-6;
    if (power && (extreme(tick) || (log && any_extreme && std::fabs(exponent) > 1.5)))
      labels.push_back(power_of_ten(static_cast<int>(std::lround(exponent))));
    else if (log || extreme(tick))
      labels.push_back(fmt::format("{:.6g}", tick));
    else
      labels.push_back(fmt::format("{:.{}f}", tick, decimals));
  }
  return labels;
}

double Scale::operator()(double value) const {
  const double share = log ? std::log(value / lo) / std::log(hi / lo) : (value - lo) / (hi - lo);
  return from + share * (to - from);
}

bool Scale::contains(double value) const { return known(value) && value >= lo && value <= hi; }

Scale fit_scale(const std::vector<double>& values, const Axis& axis) {
  double lo = unknown, hi = unknown;
  for (const double value : values) {
    if (!known(value) || (axis.log && value <= 0)) continue;
    lo = known(lo) ? std::min(lo, value) : value;
    hi = known(hi) ? std::max(hi, value) : value;
  }
  if (!known(lo)) return {.lo = axis.log ? 1.0 : 0.0, .hi = axis.log ? 10.0 : 1.0, .log = axis.log};
  if (axis.log) {
    const double margin = hi > lo * (1 + 1e-9) ? std::pow(hi / lo, 0.07) : 1.6;
    return {.lo = lo / margin, .hi = hi * margin, .log = true};
  }
  if (axis.from_zero) lo = std::min(lo, 0.0);
  const bool flat = hi - lo <= 1e-9 * std::max(std::fabs(lo), std::fabs(hi));
  const double margin = flat ? (hi == 0 ? 0.5 : 0.1 * std::fabs(hi)) : 0.07 * (hi - lo);
  return {.lo = axis.from_zero && lo == 0 ? 0 : lo - margin, .hi = hi + margin};
}

}  // namespace hac::report
