#pragma once
// NeuralScale (Lee and Lee, CVPR 2020, arXiv 2006.12813): the width of every layer is a power law
// of the size of the whole network, read off what pruning leaves of it,
//
//   phi_l(tau) = a_l tau^b_l,   tau = h(phi) parameters.
//
// Fitted by least squares of ln phi_l on ln tau over the steps of one pruning; run backwards it
// gives a network of any size T: h(floor(phi(tau))) = T. A size is named by the ratio rho,
// T = h(rho * the baseline's widths), so rho = 1 costs the baseline's parameters.
//
// h is theirs, not the true count (models/arch/counters.h): of a plain network
// sum (9 C_in C_out + 3 C_out), of a residual one sum (9 C_in C_out + 2 C_out) over its 3x3
// convolutions in sequence and C_(i-2) C_i where the widths around a block differ; and the
// classifier with its bias.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "engine/io/fields.h"
#include "models/arch/architecture.h"

namespace hac {

// What h takes of a network beside its widths.
struct NeuralScaleShape {
  bool residual = false;
  std::int64_t channels = 3, classes = 10;
};
NeuralScaleShape shape_of(const Architecture& arch);
double neuralscale_params(const NeuralScaleShape& shape, std::span<const double> widths);

struct NeuralScaleFit {
  std::string name;          // of a published one, as its files are called
  std::int64_t descent = 0;  // iteration of architecture descent: 0 early, 14 late
  NeuralScaleShape shape;    // channels are not published: 3
  std::vector<double> a, b;  // of each layer

  std::vector<double> widths(double tau) const;
  // floor(phi(tau)), at least 1.
  std::vector<double> floored(double tau) const;
  // The smallest tau with h(floored(tau)) >= params, by bisection. Throws ConfigError: a b below
  // zero, or widths that do not grow that far.
  double solve(double params) const;
  // As published: gradient steps on tau from `params`, of a plain network 2000, of a residual one
  // until h is within 0.7 % of params (0.9 % of descent 0). Their early end is in Table I. Of small
  // networks, where one kernel is more than that, they may never end: then as solve().
  double solve_as_published(double params) const;
  // T(rho) for a baseline of these widths. Throws ConfigError where they are not one a layer.
  double target(std::span<const std::int64_t> baseline, double rho) const;

  Fields fields() {
    return Fields()
        .add("name", name)
        .add("descent", descent, {0, 1000})
        .add("residual", shape.residual)
        .add("classes", shape.classes, {1, 1e6})
        .add("a", a, {0})
        .add("b", b, {-100, 100});
  }
};

// From a pruning: a row a step, of the widths that survive. Of fewer than 6 rows, or where the size
// never changes, uniform scaling of the first row: b = 1/2 in every layer (theirs stays at the
// first row). Throws ConfigError: no rows, rows of different length, a width below 1.
NeuralScaleFit fit_neuralscale(std::span<const std::vector<std::int64_t>> rows,
                               const NeuralScaleShape& shape);

// Published with the code (neuralscale_fits.json): VGG11 and the pre-activation ResNet18 on
// CIFAR-10, CIFAR-100 and TinyImageNet, early and late.
std::span<const NeuralScaleFit> published_fits();
// That of the descent, as many layers and the nearest number of classes. Throws ConfigError where
// none has the network's form.
const NeuralScaleFit& published_fit_for(const Architecture& arch, std::int64_t descent);

// The baseline with the widths phi(tau) to the nearest multiples. Throws ConfigError.
Architecture of_tau(const Architecture& baseline, const NeuralScaleFit& fit, double tau,
                    std::int64_t width_multiple);
// With h = T(rho).
Architecture with_size(const Architecture& baseline, const NeuralScaleFit& fit, double rho,
                       std::int64_t width_multiple);

// Architecture descent: a fit of the baseline's own pruning, then `descent` times one of the
// pruning of the network that the last fit gives at rho = 1 (of a residual one, 10 wider where
// below 10).
NeuralScaleFit descend(
    const Architecture& baseline, std::int64_t descent,
    const std::function<std::vector<std::vector<std::int64_t>>(const Architecture&)>& prune);

}  // namespace hac
