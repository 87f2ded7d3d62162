#include "scaling/importance/law.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>
#include <numeric>

#include "engine/io/fields_json.h"
#include "kernels/core/error.h"
#include "scaling/stats.h"

namespace hac {

namespace {

constexpr double kMaxExponent = 8;

// The points of one fit, scaled to about 1: u = C / geomean(C), y = I / max(I).
struct Points {
  std::vector<double> u, y, weight;
  double width_scale = 1, importance_scale = 1;
};

// For a fixed b: the best a and the derivative of the sum of squares by b, over 2a.
struct Projection {
  double a, sum_of_squares, slope;
};

Projection project(const Points& p, double b) {
  double uy = 0, uu = 0;
  for (std::size_t i = 0; i < p.u.size(); ++i) {
    const double power = std::pow(p.u[i], b);
    uy += p.weight[i] * power * p.y[i];
    uu += p.weight[i] * power * power;
  }
  Projection at{uy / uu, 0, 0};
  for (std::size_t i = 0; i < p.u.size(); ++i) {
    const double power = std::pow(p.u[i], b);
    const double residual = p.y[i] - at.a * power;
    at.sum_of_squares += p.weight[i] * residual * residual;
    at.slope -= p.weight[i] * residual * std::log(p.u[i]) * power;
  }
  return at;
}

// A grid finds the valley, bisection on the derivative its floor.
double best_exponent(const Points& p) {
  constexpr int kGrid = 1600;
  const auto at = [](int i) { return -kMaxExponent + 2 * kMaxExponent * i / kGrid; };
  int best = 0;
  double least = project(p, at(0)).sum_of_squares;
  for (int i = 1; i <= kGrid; ++i) {
    const double squares = project(p, at(i)).sum_of_squares;
    if (squares < least) least = squares, best = i;
  }
  double low = at(std::max(best - 1, 0)), high = at(std::min(best + 1, kGrid));
  for (int i = 0; i < 80; ++i) {
    const double middle = 0.5 * (low + high);
    (project(p, middle).slope > 0 ? high : low) = middle;
  }
  return 0.5 * (low + high);
}

void check(const LayerSamples& layer) {
  const auto& samples = layer.samples;
  for (const ImportanceSample& s : samples) {
    if (!(s.width >= 1) || !std::isfinite(s.width) || !(s.importance >= 0) ||
        !std::isfinite(s.importance)) {
      throw ConfigError(fmt::format(
          "importance law '{}': expected a width >= 1 and an importance >= 0, got ({}, {})",
          layer.layer, s.width, s.importance));
    }
  }
  const auto first = [&](const ImportanceSample& s) { return s.width == samples[0].width; };
  if (std::ranges::all_of(samples, first)) {
    throw ConfigError(fmt::format(
        "importance law '{}': expected at least two different widths, got {} sample(s) of one "
        "(hint: more multipliers, or a smaller width rounding)",
        layer.layer, samples.size()));
  }
}

double sum_of_log_widths(const LayerSamples& layer) {
  double logs = 0;
  for (const ImportanceSample& s : layer.samples) logs += std::log(s.width);
  return logs;
}

Points scaled(const LayerSamples& layer, double largest, bool relative) {
  const auto n = static_cast<double>(layer.samples.size());
  Points p{.width_scale = std::exp(sum_of_log_widths(layer) / n), .importance_scale = largest};
  for (const ImportanceSample& s : layer.samples) {
    const double y = s.importance / p.importance_scale;
    p.u.push_back(s.width / p.width_scale);
    p.y.push_back(y);
    // A dead layer's importance of 0 must not get an infinite weight.
    p.weight.push_back(relative ? 1 / std::max(y * y, 1e-12) : 1);
  }
  return p;
}

std::vector<double> importances(const LayerSamples& layer) {
  std::vector<double> values;
  for (const ImportanceSample& s : layer.samples) values.push_back(s.importance);
  return values;
}

// Fills in what follows from a and b.
void judge(ImportanceLaw& law, const LayerSamples& layer) {
  law.residuals.clear();
  for (const ImportanceSample& s : layer.samples) {
    law.residuals.push_back(s.importance - law(s.width));
  }
  // Equal importances: any exact fit explains all there is to explain.
  law.r2 = r_squared(importances(layer), law.residuals, 1);
}

// The given exponent through the layer's mean point (geometric mean width, mean importance).
void replace_exponent(ImportanceLaw& law, const LayerSamples& layer, double b) {
  const auto n = static_cast<double>(layer.samples.size());
  law.b = b;
  law.a = mean(importances(layer)) * std::exp(-b * sum_of_log_widths(layer) / n);
  judge(law, layer);
}

}  // namespace

ImportanceLaw fit_law(const LayerSamples& layer, const FitOptions& options) {
  check(layer);
  ImportanceLaw law{.layer = layer.layer, .n = static_cast<std::int64_t>(layer.samples.size())};
  const std::int64_t resolution = layer.samples[0].resolution;
  const auto same = [&](const ImportanceSample& s) { return s.resolution == resolution; };
  if (std::ranges::all_of(layer.samples, same)) {
    law.resolution = resolution;
  } else {
    law.warning = "samples of different resolutions are mixed";
  }
  if (const double largest = std::ranges::max(importances(layer)); largest > 0) {
    const Points p = scaled(layer, largest, options.relative);
    law.b = best_exponent(p);
    law.a = project(p, law.b).a * p.importance_scale * std::exp(-law.b * std::log(p.width_scale));
  } else {
    law.warning = "no importance was measured: the layer is dead";
  }
  law.fitted_b = law.b;
  if (std::abs(law.b) > kMaxExponent - 0.02) {
    law.warning = fmt::format("the exponent {:.3g} lies at the end of the search range", law.b);
  }
  judge(law, layer);
  return law;
}

std::vector<HeldOutPrediction> leave_one_width_out(const LayerSamples& layer,
                                                   const FitOptions& options) {
  struct Model {
    ImportanceLaw law;
    double constant = 0;
  };
  std::map<double, Model> without;
  for (const ImportanceSample& s : layer.samples) without[s.width];
  if (without.size() < 3) return {};
  for (auto& [width, model] : without) {
    LayerSamples others{.layer = layer.layer, .samples = {}};
    for (const ImportanceSample& s : layer.samples) {
      if (s.width != width) others.samples.push_back(s);
    }
    model = {fit_law(others, options), mean(importances(others))};
  }
  std::vector<HeldOutPrediction> predictions;
  for (const ImportanceSample& s : layer.samples) {
    const Model& model = without[s.width];
    predictions.push_back({s.width, s.importance, model.law(s.width), model.constant});
  }
  return predictions;
}

std::vector<ImportanceLaw> fit_laws(std::span<const LayerSamples> layers,
                                    const FitOptions& options) {
  std::vector<ImportanceLaw> laws;
  std::vector<double> falling;
  for (const LayerSamples& layer : layers) {
    laws.push_back(fit_law(layer, options));
    if (laws.back().b < 0) falling.push_back(laws.back().b);
  }
  const double b = falling.empty() ? -1 : median(falling);
  for (std::size_t l = 0; l < laws.size(); ++l) {
    ImportanceLaw& law = laws[l];
    if (law.b < 0) continue;
    if (options.strict) {
      throw ConfigError(fmt::format(
          "importance law '{}': expected an exponent below 0, got {:.4g} (hint: train the sampled "
          "networks longer or on more seeds, or fit without strict)",
          law.layer, law.b));
    }
    if (!law.warning.empty()) law.warning += "; ";
    law.warning += fmt::format(
        "the fitted exponent {:.4g} is not below 0; {} is used, through the mean point", law.b,
        falling.empty() ? "-1 (no layer has one below 0)"
                        : fmt::format("the median of the other layers, {:.4g},", b));
    replace_exponent(law, layers[l], b);
  }
  return laws;
}

std::string collinearity_note(std::span<const LayerSamples> layers) {
  std::vector<std::vector<double>> logs;  // of the widths, standardized, a row a layer
  for (const LayerSamples& layer : layers) {
    std::vector<double> row;
    for (const ImportanceSample& s : layer.samples) row.push_back(std::log(s.width));
    if (!logs.empty() && row.size() != logs[0].size()) return "";
    row = standardized(std::move(row));
    if (!row.empty() && known(row[0])) logs.push_back(std::move(row));
  }
  if (logs.size() < 2) return "";
  double weakest = 1;
  for (const auto& a : logs) {
    for (const auto& b : logs) {
      const double correlation = std::inner_product(a.begin(), a.end(), b.begin(), 0.0);
      weakest = std::min(weakest, std::abs(correlation));
    }
  }
  if (weakest < 0.95) return "";
  return fmt::format(
      "All layers were widened together (correlation of their widths at least {:.2f}), so each "
      "law also holds the effect of the other layers' widths; Latin hypercube samples separate "
      "them.",
      weakest);
}

void require_importance(std::span<const ImportanceLaw> laws) {
  if (std::any_of(laws.begin(), laws.end(), [](const ImportanceLaw& l) { return l.a != 0; })) {
    return;
  }
  throw ConfigError(
      "laws: expected an importance above 0 of one layer at least, got 0 of all (hint: no gradient "
      "reached them; fit laws of a network that learns)");
}

std::string to_json(std::span<const ImportanceLaw> laws) {
  std::vector<ImportanceLaw> list(laws.begin(), laws.end());
  return to_json(Fields().add("laws", list)).dump(1);
}

std::vector<ImportanceLaw> laws_from_json(const std::string& text) {
  const std::string what = "importance laws";
  std::vector<ImportanceLaw> laws;
  read_json(parse_json(text, what), Fields().add("laws", laws), what);
  return laws;
}

}  // namespace hac
