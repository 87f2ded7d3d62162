#include "scaling/methods/neuralscale.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/io/embedded.h"
#include "engine/io/fields_json.h"
#include "kernels/core/error.h"
#include "scaling/methods/method.h"
#include "scaling/stats.h"

namespace hac {

std::span<const EmbeddedFile> neuralscale_files();  // scaling/CMakeLists.txt

namespace {

constexpr std::size_t fewest_rows = 6;

struct PublishedFits {
  std::vector<NeuralScaleFit> fits;
  Fields fields() { return Fields().add("fits", fits); }
};

std::string form_of(bool residual, std::size_t layers) {
  return fmt::format("{} of {} widths", residual ? "a residual network" : "a plain network",
                     layers);
}

}  // namespace

NeuralScaleShape shape_of(const Architecture& arch) {
  const bool residual = std::any_of(arch.layers.begin(), arch.layers.end(), [](const Layer& layer) {
    return std::visit([](const auto& l) { return l.role == Role::block; }, layer);
  });
  return {.residual = residual, .channels = arch.channels, .classes = arch.classes};
}

double neuralscale_params(const NeuralScaleShape& shape, std::span<const double> widths) {
  double sum = 0, in = static_cast<double>(shape.channels);
  for (const double out : widths) {
    sum += 9 * in * out + (shape.residual ? 2 : 3) * out;
    in = out;
  }
  for (std::size_t i = 2; shape.residual && i < widths.size(); i += 2) {
    if (widths[i] != widths[i - 2]) sum += widths[i] * widths[i - 2];
  }
  return sum + (in + 1) * static_cast<double>(shape.classes);
}

std::vector<double> NeuralScaleFit::widths(double tau) const {
  std::vector<double> all;
  for (std::size_t l = 0; l < a.size(); ++l) all.push_back(a[l] * std::pow(tau, b[l]));
  return all;
}

std::vector<double> NeuralScaleFit::floored(double tau) const {
  std::vector<double> all = widths(tau);
  for (double& width : all) width = std::max(1.0, std::floor(width));
  return all;
}

double NeuralScaleFit::solve(double params) const {
  for (std::size_t l = 0; l < b.size(); ++l) {
    if (b[l] >= 0) continue;
    throw ConfigError(fmt::format(
        "neuralscale, layer {}: expected a width that does not shrink as the network grows, got "
        "the power {}",
        l + 1, b[l]));
  }
  const auto reaches = [&](double tau) {
    return neuralscale_params(shape, floored(tau)) >= params;
  };
  double low = 0, high = 1;
  while (!reaches(high)) {
    low = high;
    high *= 2;
    if (high > 1e30) {
      throw ConfigError(fmt::format(
          "neuralscale: expected widths that grow to {} parameters, got powers of at most {}",
          params, *std::max_element(b.begin(), b.end())));
    }
  }
  for (int i = 0; i < 100; ++i) {
    const double middle = (low + high) / 2;
    (reaches(middle) ? high : low) = middle;
  }
  return high;
}

double NeuralScaleFit::solve_as_published(double params) const {
  constexpr int plain_steps = 2000, most_steps = 50000;
  const double rate = shape.residual ? 1 : 50, close = descent == 0 ? 0.009 : 0.007;
  double tau = params;
  for (int step = 0; tau > 0 && step < most_steps; ++step) {
    const double off = neuralscale_params(shape, floored(tau)) - params;
    if (shape.residual ? std::abs(off) <= close * params : step == plain_steps) return tau;
    double slope = 0;
    for (std::size_t l = 0; l < a.size(); ++l) slope += a[l] * b[l] * std::pow(tau, b[l] - 1);
    tau -= rate * off * slope;
  }
  return solve(params);
}

double NeuralScaleFit::target(std::span<const std::int64_t> baseline, double rho) const {
  if (baseline.size() != a.size()) {
    throw ConfigError(fmt::format("neuralscale: expected a baseline with {} widths, got {}",
                                  a.size(), baseline.size()));
  }
  if (!std::isfinite(rho) || rho <= 0) {
    throw ConfigError(fmt::format("neuralscale 'rho': expected a number > 0, got {}", rho));
  }
  std::vector<double> scaled;
  for (const std::int64_t width : baseline) scaled.push_back(rho * static_cast<double>(width));
  return neuralscale_params(shape, scaled);
}

NeuralScaleFit fit_neuralscale(std::span<const std::vector<std::int64_t>> rows,
                               const NeuralScaleShape& shape) {
  if (rows.empty() || rows.front().empty()) {
    throw ConfigError("neuralscale: expected the widths that pruning left, got none");
  }
  const std::size_t layers = rows.front().size();
  std::vector<double> size;  // ln tau
  std::vector<std::vector<double>> width(layers);
  for (std::size_t j = 0; j < rows.size(); ++j) {
    std::vector<double> row(rows[j].begin(), rows[j].end());
    if (row.size() != layers || *std::min_element(row.begin(), row.end()) < 1) {
      throw ConfigError(fmt::format(
          "neuralscale, row {} of the pruning: expected {} widths of at least 1, got {}", j + 1,
          layers, fmt::join(rows[j], ", ")));
    }
    size.push_back(std::log(neuralscale_params(shape, row)));
    for (std::size_t l = 0; l < layers; ++l) width[l].push_back(std::log(row[l]));
  }
  const double mean_size = mean(size);
  double spread = 0;
  for (const double s : size) spread += (s - mean_size) * (s - mean_size);
  const bool uniform = rows.size() < fewest_rows || spread == 0;
  NeuralScaleFit fit{.shape = shape};
  for (std::size_t l = 0; l < layers; ++l) {
    double slope = 0;
    const double mean_width = mean(width[l]);
    for (std::size_t j = 0; j < size.size(); ++j) {
      slope += (size[j] - mean_size) * (width[l][j] - mean_width);
    }
    // Widths only fall while the size falls: below zero is the rounding of a layer that kept its
    // own.
    fit.b.push_back(uniform ? 0.5 : std::max(0.0, slope / spread));
    fit.a.push_back(
        std::exp(uniform ? width[l][0] - 0.5 * size[0] : mean_width - fit.b[l] * mean_size));
  }
  return fit;
}

std::span<const NeuralScaleFit> published_fits() {
  static const std::vector<NeuralScaleFit> fits = [] {
    PublishedFits read;
    const EmbeddedFile& file = neuralscale_files().front();
    read_json(parse_json(file.text, file.name), read.fields(), file.name, "",
              {.others = {"source", "license"}});
    return read.fits;
  }();
  return fits;
}

const NeuralScaleFit& published_fit_for(const Architecture& arch, std::int64_t descent) {
  const NeuralScaleShape shape = shape_of(arch);
  const std::size_t layers = widths(arch).size();
  const auto distance = [&](const NeuralScaleFit& fit) {
    return std::abs(
        std::log(static_cast<double>(fit.shape.classes) / static_cast<double>(shape.classes)));
  };
  const NeuralScaleFit* best = nullptr;
  for (const NeuralScaleFit& fit : published_fits()) {
    if (fit.shape.residual != shape.residual || fit.a.size() != layers || fit.descent != descent) {
      continue;
    }
    if (!best || distance(fit) < distance(*best)) best = &fit;
  }
  if (best) return *best;
  throw ConfigError(fmt::format(
      "neuralscale: expected a plain network of 8 widths or a residual one of 17, and the descent "
      "0 or 14, of which there are published fits, got {} and {} (hint: prune '{}' itself: "
      "hacscale compare)",
      form_of(shape.residual, layers), descent, arch.name));
}

Architecture of_tau(const Architecture& baseline, const NeuralScaleFit& fit, double tau,
                    std::int64_t width_multiple) {
  std::vector<std::int64_t> rounded;
  for (const double width : fit.widths(tau)) rounded.push_back(round_to(width, width_multiple));
  return with_widths(baseline, rounded);
}

Architecture with_size(const Architecture& baseline, const NeuralScaleFit& fit, double rho,
                       std::int64_t width_multiple) {
  return of_tau(baseline, fit, fit.solve(fit.target(widths(baseline), rho)), width_multiple);
}

NeuralScaleFit descend(
    const Architecture& baseline, std::int64_t descent,
    const std::function<std::vector<std::vector<std::int64_t>>(const Architecture&)>& prune) {
  const NeuralScaleShape shape = shape_of(baseline);
  NeuralScaleFit fit = fit_neuralscale(prune(baseline), shape);
  for (std::int64_t i = 0; i < descent; ++i) {
    const Architecture start = with_size(baseline, fit, 1, 1);
    std::vector<std::int64_t> wide = widths(start);
    for (std::int64_t& width : wide) {
      if (shape.residual && width < 10) width += 10;
    }
    fit = fit_neuralscale(prune(with_widths(start, wide)), shape);
  }
  fit.descent = descent;
  return fit;
}

namespace {

std::int64_t descent_of(double value) {
  if (!(value >= 0 && value <= 100) || value != std::floor(value)) {
    throw ConfigError(
        fmt::format("neuralscale 'descent': expected an integer from 0 to 100, got {}", value));
  }
  return static_cast<std::int64_t>(value);
}

double rho_of_step(const ScalingTask&, std::int64_t i) {
  return 0.25 * std::pow(1.01, static_cast<double>(i - 1));
}

// By the published fit that is nearest, or one of the network's own pruning where a task can train.
// rho, which names the size, grows by 1 % a step from a quarter: at equal parameters these networks
// take longer than the baseline, so rho may end below 1.
ScaledNetwork largest(ScalingTask task) {
  const bool own = task.proxy && task.proxy->prune;
  if (task.given.empty() && own) task.given = {static_cast<double>(task.proxy->descent)};
  Method family = method_of("neuralscale");
  if (task.given.empty()) task.given = {family.coefficients.front().value};
  const std::int64_t descent = descent_of(task.given.front());
  const NeuralScaleFit fit = own ? descend(task.baseline, descent, task.proxy->prune)
                                 : published_fit_for(task.baseline, descent);
  family.decide = nullptr;
  family.step = rho_of_step;
  family.scale = [&fit](const Architecture& baseline, std::span<const double> c,
                        const Rounding& q) {
    return with_size(baseline, fit, c.back(), q.width_multiple);
  };
  ScaledNetwork n = family.to_budget(task);
  n.note = fmt::format("{}, descent {}",
                       own ? "fit of its own pruning" : "published fit " + fit.name, descent);
  return n;
}

Architecture as_published(const Architecture& baseline, std::span<const double> c,
                          const Rounding& q) {
  const NeuralScaleFit& fit = published_fit_for(baseline, descent_of(c[0]));
  const double tau = fit.solve_as_published(fit.target(widths(baseline), c[1]));
  return of_tau(baseline, fit, tau, q.width_multiple);
}

std::vector<Coefficient> of_a_published_fit() {
  return {{"descent", "of the published fit: 0 early, 14 late", 14},
          {"rho", "factor of the widths whose parameters it has"}};
}

}  // namespace

Method neuralscale() {
  return {.key = "neuralscale",
          .name = "NeuralScale",
          .help = "widths by power laws of the network's size, fitted to a pruning (Lee 2020)",
          .coefficients = of_a_published_fit(),
          .scale =
              [](const Architecture& baseline, std::span<const double> c, const Rounding& q) {
                return with_size(baseline, published_fit_for(baseline, descent_of(c[0])), c[1],
                                 q.width_multiple);
              },
          .decide = largest};
}

Method neuralscale_paper() {
  return {.key = "neuralscale-paper",
          .name = "NeuralScale (published)",
          .help = "by a published fit and the published steps: Table I's rows at width_multiple 2",
          .coefficients = of_a_published_fit(),
          .scale = as_published,
          .step = rho_of_step};
}

}  // namespace hac
